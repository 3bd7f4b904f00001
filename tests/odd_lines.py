"""Odd JSONL lines with the verdict that each must get: None for usable, else a part of the reason."""

TEXT = b'{"id":"a","domain":"d","input_type":"text","input":{"text":"q"},"expected_output":"x"}'


def record(
    id_=b'"a"',
    domain=b'"d"',
    kind=b'"text"',
    given=b'{"text":"q"}',
    answer=b'"x"',
    more=b"",
):
    """A line of the given JSON pieces."""
    head = b'{"id":' + id_ + b',"domain":' + domain + b',"input_type":' + kind
    return head + b',"input":' + given + b',"expected_output":' + answer + more + b"}"


def values(numbers):
    """A line of a sequence with the given JSON list."""
    return record(kind=b'"sequence"', given=b'{"values":' + numbers + b"}")


def image(width, height, pixels):
    """A line of an image of the given JSON pieces."""
    return record(kind=b'"image"', given=b'{"width":%s,"height":%s,"pixels":%s}' % (width, height, pixels))


ODD_LINES = {
    "plain": (TEXT, None),
    "spaces": (TEXT.replace(b":", b" :\t ").replace(b",", b" , "), None),
    "other order": (
        b'{"expected_output":"x","input":{"text":"q"},"input_type":"text","domain":"d","id":"a","metadata":{}}',
        None,
    ),
    "NaN": (values(b"[1,NaN]"), "NaN"),
    "Infinity": (values(b"[Infinity]"), "Infinity"),
    "minus Infinity": (values(b"[-Infinity]"), "Infinity"),
    "1e999": (values(b"[1e999]"), "beyond the range of float32"),
    "beyond float32": (values(b"[3.5e38]"), r"input.values\[0\] is beyond the range of float32"),
    "largest float32": (values(b"[3.4028234663852886e38,-3.4028234663852886e38]"), None),
    "10^23": (values(b"[100000000000000000000000]"), None),
    "beyond doubles": (values(b"[9007199254740993, -12345678901234567890, 0.5]"), None),
    "10^400": (values(b"[1" + b"0" * 400 + b"]"), "beyond the range of float32"),
    "10^5000": (values(b"[1" + b"0" * 5000 + b"]"), "not usable JSON"),
    "tiny": (values(b"[1e-400, 5e-324, 1e-50]"), None),
    "minus zero": (values(b"[-0, -0.0]"), None),
    "leading zero": (values(b"[01]"), "not JSON"),
    "plus": (values(b"[+1]"), "not JSON"),
    "bare fraction": (values(b"[.5]"), "not JSON"),
    "open fraction": (values(b"[5.]"), "not JSON"),
    "hexadecimal": (values(b"[0x10]"), "not JSON"),
    "empty values": (values(b"[]"), "input.values is empty"),
    "null value": (values(b"[1,null]"), r"input.values\[1\] must be a number, got null"),
    "string value": (values(b'["1"]'), r"input.values\[0\] must be a number, got a string"),
    "true value": (values(b"[true]"), r"input.values\[0\] must be a number, got a boolean"),
    "nested value": (values(b"[[1]]"), r"input.values\[0\] must be a number, got a list"),
    "values no list": (values(b"3"), "input.values must be a list of numbers, got a number"),
    "trailing comma": (values(b"[1,]"), "not JSON"),
    "image": (image(b"2", b"1", b"[0,0.5]"), None),
    "too few pixels": (image(b"2", b"2", b"[1,2,3]"), "input.pixels has 3 numbers, but width x height is 4"),
    "no width": (image(b"0", b"1", b"[1]"), "input.width must be from 1 to 65535, got 0"),
    "negative height": (image(b"1", b"-1", b"[1]"), "input.height must be from 1 to 65535"),
    "width 2.0": (image(b"2.0", b"1", b"[1,2]"), "input.width must be an integer"),
    "width string": (image(b'"2"', b"1", b"[1,2]"), "input.width must be an integer, got a string"),
    "lone surrogate": (record(given=b'{"text":"\\ud800"}'), "input.text holds a lone surrogate"),
    "low surrogate": (record(answer=b'"\\udc00x"'), "expected_output holds a lone surrogate"),
    "surrogate pair": (record(answer=b'"\\ud83d\\ude00"'), None),
    "surrogate in metadata": (record(more=b',"metadata":{"a":"\\ud800"}'), "metadata holds a lone surrogate"),
    "raw surrogate": (record(answer=b'"\xed\xa0\x80"'), "not UTF-8"),
    "bad UTF-8": (record(answer=b'"\xff"'), "not UTF-8"),
    "overlong UTF-8": (record(answer=b'"\xc0\xaf"'), "not UTF-8"),
    "cut UTF-8": (record(answer=b'"\xe2\x82"'), "not UTF-8"),
    "beyond Unicode": (record(answer=b'"\xf4\x90\x80\x80"'), "not UTF-8"),
    "four bytes": (record(answer='"😀é€"'.encode()), None),
    "escapes": (record(answer=b'"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC"'), None),
    "bad escape": (record(answer=b'"\\x41"'), "not JSON"),
    "escaped NUL": (record(answer=b'"\\u0000"'), None),
    "raw NUL": (record(answer=b'"\x00"'), "not JSON"),
    "raw tab": (record(answer=b'"a\tb"'), "not JSON"),
    "key twice": (record(more=b',"id":"b"'), "key 'id' comes twice"),
    "key twice inside": (record(given=b'{"text":"q","text":"r"}'), "key 'text' comes twice"),
    "key twice in metadata": (record(more=b',"metadata":{"a":1,"b":{"c":1,"c":2}}'), "key 'c' comes twice"),
    "same key apart": (record(more=b',"metadata":{"a":1,"b":{"a":[{"a":1},{"a":2}]},"c":{"a":0}}'), None),
    "escaped key twice": (record(more=b',"metadata":{"a":1,"\\u0061":2}'), "key 'a' comes twice"),
    "metadata": (
        record(more=b',"metadata":{"a":[1,{"b":null}],"c":true,"d":"\\u00e9","e":-1.5e3,"f":{},"g":[]}'),
        None,
    ),
    "metadata 10^40": (record(more=b',"metadata":{"a":[1' + b"0" * 40 + b'], "b" : 9007199254740993 }'), None),
    "metadata 10^5000": (record(more=b',"metadata":{"a":1' + b"0" * 5000 + b"}"), "not usable JSON"),
    "unknown 10^40": (record(more=b',"weight":1' + b"0" * 40), None),
    "metadata null": (record(more=b',"metadata":null'), None),
    "metadata list": (record(more=b',"metadata":[1]'), "metadata must be an object, got a list"),
    "metadata string": (record(more=b',"metadata":"m"'), "metadata must be an object, got a string"),
    "metadata NaN": (record(more=b',"metadata":{"a":NaN}'), "NaN"),
    "metadata 1e999": (record(more=b',"metadata":{"a":1e999}'), "beyond the range"),
    "metadata unclosed": (record(more=b',"metadata":{"a":[1}'), "not JSON"),
    "metadata comma": (record(more=b',"metadata":{"a":1,}'), "not JSON"),
    "unknown fields": (record(given=b'{"text":"q","lang":"fr"}', more=b',"weight":0.5,"tags":["x"]'), None),
    "id missing": (TEXT.replace(b'"id":"a",', b""), "id is missing"),
    "domain missing": (TEXT.replace(b'"domain":"d",', b""), "domain is missing"),
    "input missing": (TEXT.replace(b'"input":{"text":"q"},', b""), "input is missing"),
    "answer missing": (TEXT.replace(b',"expected_output":"x"', b""), "expected_output is missing"),
    "id number": (record(id_=b"7"), "id must be a string, got a number"),
    "id null": (record(id_=b"null"), "id must be a string, got null"),
    "id empty": (record(id_=b'""'), None),
    "domain empty": (record(domain=b'""'), "domain is empty"),
    "domain escaped": (record(domain=b'"\\u00e9"'), None),
    "answer number": (record(answer=b"3"), "expected_output must be a string, got a number"),
    "answer empty": (record(answer=b'""'), None),
    "unknown type": (record(kind=b'"audio"'), "input_type must be text, sequence, image or tabular, got 'audio'"),
    "type number": (record(kind=b"1"), "input_type must be a string"),
    "other input": (record(given=b'{"values":[1]}'), "input.text is missing"),
    "text number": (record(given=b'{"text":1}'), "input.text must be a string"),
    "input string": (record(given=b'"q"'), "input must be an object, got a string"),
    "input null": (record(given=b"null"), "input must be an object, got null"),
    "list": (b"[1,2]", "a line must hold one JSON object, got a list"),
    "null": (b"null", "a line must hold one JSON object, got null"),
    "number": (b"12", "a line must hold one JSON object, got a number"),
    "two objects": (TEXT + TEXT, "not JSON"),
    "text after": (TEXT + b" x", "not JSON"),
    "half": (TEXT[:40], "not JSON"),
    "single quotes": (TEXT.replace(b'"', b"'"), "not JSON"),
    "comment": (TEXT + b" // fine", "not JSON"),
    "byte-order mark": (b"\xef\xbb\xbf" + TEXT, "not JSON"),
    "NUL bytes": (b"\x00\x00\x00", "not JSON"),
    "form feed": (b"\x0c", "not JSON"),
    "deep": (
        record(more=b',"metadata":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "nested deeper than the limit",
    ),
    "deep and open": (b"[" * 100_000, "nested deeper than the limit"),
}
