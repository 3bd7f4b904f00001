"""Node names as arrays, so that they live in a checkpoint beside the topology."""

import numpy as np

from grapheme_numba.errors import GraphError


def name_arrays(names):
    """{} for None, else `name_bytes` uint8 (UTF-8, one after the other) and `name_ends` int64 (n_node,)."""
    if names is None:
        return {}
    encoded = [name.encode("utf-8", "surrogatepass") for name in names]
    ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
    return {"name_bytes": np.frombuffer(b"".join(encoded), np.uint8), "name_ends": ends}


def names_of(arrays, n_node):
    """The names (n_node,) that `name_arrays` put among `arrays`, or None. Raises GraphError where they do not fit."""
    if "name_ends" not in arrays:
        return None
    data, ends = bytes(np.asarray(arrays.get("name_bytes", ()), np.uint8)), np.asarray(arrays["name_ends"]).tolist()
    starts = [0, *ends[:-1]]
    if len(ends) != n_node or ends[-1] != len(data) or any(a > b for a, b in zip(starts, ends, strict=True)):
        raise GraphError(f"the names of {len(ends)} nodes in {len(data)} bytes do not fit {n_node} nodes")
    try:
        return tuple(data[a:b].decode("utf-8", "surrogatepass") for a, b in zip(starts, ends, strict=True))
    except UnicodeDecodeError as error:
        raise GraphError(f"the node names are not UTF-8: {error}") from None
