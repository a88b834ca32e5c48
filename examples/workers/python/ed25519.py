"""Ed25519 signatures (RFC 8032), because Python's standard library has none. Not constant in time: for a local broker."""

from hashlib import sha512

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def _x_of(y):
    """The even x that goes with y on the curve."""
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return x if x % 2 == 0 else P - x


_BASE_Y = 4 * pow(5, P - 2, P) % P
# A point is (x, y, z, t) with x/z, y/z and x*y/z: adding takes no division.
_BASE = (_x_of(_BASE_Y), _BASE_Y, 1, _x_of(_BASE_Y) * _BASE_Y % P)


def _add(one, other):
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(number):
    result, power = (0, 1, 1, 0), _BASE
    while number:
        if number & 1:
            result = _add(result, power)
        power = _add(power, power)
        number >>= 1
    return result


def _bytes_of(point):
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    return (y * inverse % P | (x * inverse % P & 1) << 255).to_bytes(32, "little")


def _number(*parts):
    return int.from_bytes(sha512(b"".join(parts)).digest(), "little") % L


def _secret(seed):
    digest = sha512(seed).digest()
    number = int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254
    return number, digest[32:]


def public_key(seed):
    """The 32 bytes of the public key of a 32-byte seed."""
    return _bytes_of(_times(_secret(seed)[0]))


def sign(seed, message):
    """The 64 bytes of the signature."""
    number, prefix = _secret(seed)
    public = _bytes_of(_times(number))
    nonce = _number(prefix, message)
    point = _bytes_of(_times(nonce))
    return point + ((nonce + _number(point, public, message) * number) % L).to_bytes(32, "little")
