"""Plain-Python twins of what the package computes: slow, obvious, and independent of it.

Nothing here imports the package or NumPy; numbers are Python floats (float64), arrays are lists.
Each twin has the name of what it mirrors, so that a test reads `naive.forward(...)` against `dag.forward(...)`.
"""

import math
import re

LEAKY_SLOPE = 0.01


def _sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))


def _normal_cdf(x):
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def _normal_density(x):
    return math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


# name -> (function, derivative), both of the pre-activation
ACTIVATIONS = {
    "linear": (lambda x: x, lambda x: 1.0),
    "relu": (lambda x: max(x, 0.0), lambda x: 1.0 if x > 0 else 0.0),
    "leaky_relu": (lambda x: x if x > 0 else LEAKY_SLOPE * x, lambda x: 1.0 if x > 0 else LEAKY_SLOPE),
    "sigmoid": (_sigmoid, lambda x: _sigmoid(x) * _sigmoid(-x)),
    "tanh": (math.tanh, lambda x: 1.0 - math.tanh(x) ** 2),
    "gelu": (lambda x: x * _normal_cdf(x), lambda x: _normal_cdf(x) + x * _normal_density(x)),
    "silu": (lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) * (1.0 + x * _sigmoid(-x))),
    "softplus": (lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))), _sigmoid),
    "elu": (lambda x: x if x > 0 else math.expm1(x), lambda x: 1.0 if x > 0 else math.exp(x)),
    "sin": (math.sin, math.cos),
    "gaussian": (lambda x: math.exp(-x * x), lambda x: -2.0 * x * math.exp(-x * x)),
}


def aggregate(kind, terms):
    """The aggregate of a list of weighted inputs; of none 1 for a product, else 0."""
    if kind == "product":
        return math.prod(terms)
    if not terms:
        return 0.0
    return {"sum": sum, "mean": lambda x: sum(x) / len(x), "max": max, "min": min}[kind](terms)


def aggregate_slopes(kind, terms):
    """The derivative of `aggregate` by each of the terms; the first of several largest or smallest has all of it."""
    if kind == "product":
        return [math.prod(terms[:i]) * math.prod(terms[i + 1 :]) for i in range(len(terms))]
    if kind in ("max", "min"):
        winner = terms.index(aggregate(kind, terms)) if terms else -1
        return [1.0 if i == winner else 0.0 for i in range(len(terms))]
    return [1.0 / len(terms) if kind == "mean" else 1.0 for _ in terms]


class Graph:
    """A network as lists: edges in the caller's order, node arrays by node id.

    `activation` and `aggregation` hold one name per node; `inputs` and `outputs` hold node ids in column order.
    """

    def __init__(self, n_node, senders, receivers, inputs, outputs, weights, biases, activation, aggregation=None):
        self.n_node, self.senders, self.receivers = n_node, list(senders), list(receivers)
        self.inputs, self.outputs = list(inputs), list(outputs)
        self.weights, self.biases = [float(w) for w in weights], [float(b) for b in biases]
        self.activation = ["linear" if node in set(self.inputs) else name for node, name in enumerate(activation)]
        for node in self.inputs:
            self.biases[node] = 0.0
        self.incoming = [[] for _ in range(n_node)]
        self.outgoing = [[] for _ in range(n_node)]
        for edge, (sender, receiver) in enumerate(zip(self.senders, self.receivers, strict=True)):
            self.incoming[receiver].append(edge)
            self.outgoing[sender].append(edge)
        self.aggregation = list(aggregation or ["sum"] * n_node)
        for node in self.inputs:
            if not self.incoming[node]:
                self.aggregation[node] = "sum"


def topological_order(graph):
    """Kahn's order of the nodes; shorter than n_node where a cycle is."""
    missing = [len(edges) for edges in graph.incoming]
    order = [node for node in range(graph.n_node) if missing[node] == 0]
    for node in order:
        for edge in graph.outgoing[node]:
            receiver = graph.receivers[edge]
            missing[receiver] -= 1
            if missing[receiver] == 0:
                order.append(receiver)
    return order


def levels(graph):
    """0 for nodes without incoming edges, else one more than the highest level of the senders."""
    level = [0] * graph.n_node
    for node in topological_order(graph):
        for edge in graph.incoming[node]:
            level[node] = max(level[node], 1 + level[graph.senders[edge]])
    return level


def weighted_inputs(graph, node, act):
    """Weight times the sender's activation for each edge into a node."""
    return [graph.weights[edge] * act[graph.senders[edge]] for edge in graph.incoming[node]]


def activations(graph, x):
    """Pre-activations and activations of one example; both lists of length n_node."""
    external = dict(zip(graph.inputs, x, strict=True))
    pre, act = [0.0] * graph.n_node, [0.0] * graph.n_node
    for node in topological_order(graph):
        total = graph.biases[node] + float(external.get(node, 0.0))
        total += aggregate(graph.aggregation[node], weighted_inputs(graph, node, act))
        pre[node] = total
        act[node] = ACTIVATIONS[graph.activation[node]][0](total)
    return pre, act


def forward(graph, batch):
    """Outputs of each example of the batch: a list of lists (batch, n_output)."""
    rows = []
    for x in batch:
        act = activations(graph, x)[1]
        rows.append([act[node] for node in graph.outputs])
    return rows


def backward(graph, batch, grad_output):
    """Gradients of sum(grad_output * forward(batch)): per edge, per node's bias (sums), per input (batch, n_input)."""
    edge_grads, bias_grads, input_grads = [0.0] * len(graph.weights), [0.0] * graph.n_node, []
    order = topological_order(graph)
    for x, row in zip(batch, grad_output, strict=True):
        pre, act = activations(graph, x)
        upstream = [0.0] * graph.n_node
        for node, value in zip(graph.outputs, row, strict=True):
            upstream[node] += float(value)
        delta, slope = [0.0] * graph.n_node, [0.0] * len(graph.weights)
        for node in reversed(order):
            for edge in graph.outgoing[node]:
                upstream[node] += graph.weights[edge] * slope[edge] * delta[graph.receivers[edge]]
            delta[node] = upstream[node] * ACTIVATIONS[graph.activation[node]][1](pre[node])
            slopes = aggregate_slopes(graph.aggregation[node], weighted_inputs(graph, node, act))
            for edge, one in zip(graph.incoming[node], slopes, strict=True):
                slope[edge] = one
        for edge, (sender, receiver) in enumerate(zip(graph.senders, graph.receivers, strict=True)):
            edge_grads[edge] += act[sender] * slope[edge] * delta[receiver]
        for node in range(graph.n_node):
            if node not in graph.inputs:
                bias_grads[node] += delta[node]
        input_grads.append([delta[node] for node in graph.inputs])
    return edge_grads, bias_grads, input_grads


def mse(y, target, mask=None):
    """Sum over examples of the mean squared error of the active outputs, and its gradient."""
    loss, grad = 0.0, []
    for i, (row, wanted) in enumerate(zip(y, target, strict=True)):
        active = [True] * len(row) if mask is None else [bool(m) for m in mask[i]]
        n = sum(active)
        errors = [float(a) - float(b) if use else 0.0 for a, b, use in zip(row, wanted, active, strict=True)]
        loss += sum(e * e for e in errors) / n if n else 0.0
        grad.append([2.0 * e / n if n else 0.0 for e in errors])
    return loss, grad


def label_loss(logits, targets):
    """Cross-entropy of one example in quarters of a blind guess's, and its gradient."""
    total = sum(math.exp(logit) for logit in logits)
    guess = 4.0 * math.log(max(len(logits), 2))
    loss = -sum(t * math.log(math.exp(logit) / total) for logit, t in zip(logits, targets, strict=True) if t)
    grad = [(math.exp(logit) / total - t) / guess for logit, t in zip(logits, targets, strict=True)]
    return loss / guess, grad


def edit_distance(first, second):
    """Levenshtein's distance, by the whole table."""
    table = [[max(i, j) for j in range(len(second) + 1)] for i in range(len(first) + 1)]
    for i, a in enumerate(first, 1):
        for j, b in enumerate(second, 1):
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (a != b))
    return table[-1][-1]


def text_tokens(text):
    """[(bytes, value)] of a text (bytes): numbers with their value, every other byte by itself with None."""
    found, at = [], 0
    while at < len(text):
        number = re.match(rb"-?[0-9]+(\.[0-9]+)?", text[at:])
        before = text[:at]
        if number and number[0][:1] == b"-" and re.search(rb"[0-9)][ ]*\Z|[A-Za-z\x80-\xff)-]\Z", before):
            number = None
        piece = number[0] if number else text[at : at + 1]
        found.append((piece, float(piece) if number else None))
        at += len(piece)
    return found


def text_number(value, shift, scale, knee):
    """How a number of a text enters: as itself up to the knee, then by its logarithm, standardised."""
    size = abs(value)
    return ((value if size <= knee else math.copysign(knee * (1 + math.log(size / knee)), value)) - shift) * scale


def text_words(text, n_bucket):
    """[(bucket, first byte, end)] of the words of a text (bytes) and, after its second, of each pair of neighbours."""

    def fnv(word, start=2166136261):
        for byte in word:
            start = (start ^ byte) * 16777619 % 2**32
        return start

    def bucket(code):
        code = (code ^ code >> 16) * 0x45D9F3B % 2**32
        return (code ^ code >> 16) % n_bucket

    found, last = [], None
    for word in re.finditer(rb"[0-9A-Za-z\x80-\xff]+", text):
        code = fnv(bytes(byte + 32 if 65 <= byte < 91 else byte for byte in word[0]))
        found.append((bucket(code), word.start(), word.end()))
        if last is not None:
            found.append((bucket(last[0] * 16777619 % 2**32 ^ code), last[1], word.end()))
        last = code, word.start()
    return found


def structural_loss(n_nodes_pred, n_edges_pred, n_nodes_true, n_edges_true, alpha=1.0, beta=0.5):
    """Weighted distance of two graphs' node and edge counts."""
    return alpha * abs(n_nodes_pred - n_nodes_true) + beta * abs(n_edges_pred - n_edges_true)


def xavier_limits(graph):
    """The largest weight that `dynamic_xavier` may draw, per edge."""
    return [
        math.sqrt(6.0 / (len(graph.incoming[receiver]) + len(graph.outgoing[sender])))
        for sender, receiver in zip(graph.senders, graph.receivers, strict=True)
    ]


def embedding_forward(weights, ids):
    """Rows of `weights` (vocab_size, dim) looked up by ids (batch, length)."""
    return [[list(weights[i]) for i in row] for row in ids]


def embedding_backward(weights, ids, grad):
    """Gradient of the table: each occurrence of an id adds its row of `grad` (batch, length, dim)."""
    total = [[0.0] * len(row) for row in weights]
    for id_row, grad_row in zip(ids, grad, strict=True):
        for i, row in zip(id_row, grad_row, strict=True):
            for d, value in enumerate(row):
                total[i][d] += float(value)
    return total


def sgd(parameters, grads, lr, weight_decay=0.0):
    """p - lr * (g + decay * p)."""
    return [p - lr * (g + weight_decay * p) for p, g in zip(parameters, grads, strict=True)]


def momentum(parameters, grads, velocity, lr, mu=0.9, weight_decay=0.0):
    """v = mu * v + g; p - lr * v. Returns the new parameters and velocity."""
    velocity = [mu * v + g + weight_decay * p for p, g, v in zip(parameters, grads, velocity, strict=True)]
    return [p - lr * v for p, v in zip(parameters, velocity, strict=True)], velocity


def adam(parameters, grads, mu, nu, count, lr, b1=0.9, b2=0.999, eps=1e-8, weight_decay=0.0, decoupled=False):
    """Kingma & Ba, algorithm 1; `decoupled` is AdamW (Loshchilov & Hutter, algorithm 2). `count` starts at 1."""
    new_parameters, new_mu, new_nu = [], [], []
    for p, g, m, v in zip(parameters, grads, mu, nu, strict=True):
        if not decoupled:
            g = g + weight_decay * p
        m = b1 * m + (1.0 - b1) * g
        v = b2 * v + (1.0 - b2) * g * g
        step = (m / (1.0 - b1**count)) / (math.sqrt(v / (1.0 - b2**count)) + eps)
        if decoupled:
            step += weight_decay * p
        new_parameters.append(p - lr * step)
        new_mu.append(m)
        new_nu.append(v)
    return new_parameters, new_mu, new_nu


def rmsprop(parameters, grads, nu, lr, rho=0.9, eps=1e-8, weight_decay=0.0):
    """One step of RMSprop (Tieleman and Hinton 2012); returns (parameters, nu)."""
    grads = [g + weight_decay * p for p, g in zip(parameters, grads, strict=True)]
    nu = [rho * v + (1 - rho) * g * g for v, g in zip(nu, grads, strict=True)]
    return [p - lr * g / (math.sqrt(v) + eps) for p, g, v in zip(parameters, grads, nu, strict=True)], nu


def global_norm(values):
    """L2 norm of a flat list."""
    return math.sqrt(math.fsum(v * v for v in values))
