#!/usr/bin/env python3
"""Reads a Backstay repository, format 1. Written from assets/docs/FORMAT.md alone; shares no code
with Backstay, so that a stranger could get the data back with it.

    reader.py REPOSITORY KEY list
    reader.py REPOSITORY KEY tables BACKUP
    reader.py REPOSITORY KEY restore BACKUP SCHEMA TABLE > rows.copy

KEY is `code:XXXXX-…` (a recovery code), `passphrase:…` or `key:<64 hex>` (a key file's bytes).
Needs the Python packages cryptography, blake3, lz4 and (for passphrases) argon2-cffi.
"""

import hashlib
import hmac
import json
import pathlib
import struct
import sys

import blake3
import lz4.block
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
KIND_ROLE = {"sessions": (1, "session"), "index": (2, "index"), "snapshots": (3, "meta")}


class Damaged(Exception):
    """Stored bytes are not what the format says."""


def expect(holds, what):
    if not holds:
        raise Damaged(what)


def hkdf(salt, secret, info):
    return HKDF(hashes.SHA256(), 32, salt, info).derive(secret)


class Bytes:
    """Takes little-endian numbers and stretches off the front of some bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        expect(self.at + count <= len(self.data), "bytes end too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, count):
        return int.from_bytes(self.take(count), "little")


def code_bits(code):
    """Section 3: 35 digits, the last three of which check the others."""
    digits = [c for c in code.upper() if c.isalnum()]
    digits = ["0" if c == "O" else "1" if c in "IL" else c for c in digits]
    expect(len(digits) == 35, "the recovery code has not 35 digits")
    bits = 0
    for digit in digits:
        bits = bits << 5 | CROCKFORD.index(digit)
    secret, check = (bits >> 15).to_bytes(20, "big"), bits & 0x7FFF
    want = int.from_bytes(hashlib.sha256(secret).digest()[:2], "big") >> 1
    expect(check == want, "the recovery code has a typing error")
    return secret


class Repository:
    def __init__(self, place, key):
        self.place = pathlib.Path(place)
        line = (self.place / "backstay.json").read_bytes()
        header = json.loads(line)
        expect(header["magic"] == "backstay repository" and header["format"] == 1, "not format 1")
        expect(header["features"]["read"] == [], "the repository needs a newer reader")
        self.uid = bytes.fromhex(header["repository_id"])
        self.domain, self.secret = self.open_slot(key)
        unsigned = line.rstrip(b"\n").replace(header["mac"].encode(), b"")
        mac = hmac.new(self.role("header"), unsigned, hashlib.sha256).hexdigest()
        expect(mac == header["mac"], "backstay.json is not authentic")
        derive = lambda context: blake3.blake3(self.domain, derive_key_context=context)
        self.chunk_key = derive("backstay format 1 chunk id").digest()
        self.stream_key = derive("backstay format 1 stream checksum").digest()
        self.sessions = {}
        self.read_index()

    def role(self, name):
        return hkdf(self.uid, self.secret, b"backstay/1 role " + name.encode())

    def open_slot(self, key):
        """Section 3: the first slot of the key's kind that opens."""
        kind, text = key.split(":", 1)
        number = {"key": 1, "passphrase": 2, "code": 3}[kind]
        for path in sorted((self.place / "keys").iterdir()):
            slot = path.read_bytes()
            expect(hashlib.sha256(slot[:-32]).digest() == slot[-32:], f"{path} is damaged")
            if slot[:8] != b"BKSTKEY1" or slot[8] != number or slot[12:28] != self.uid:
                continue
            salt, (memory, passes, lanes) = slot[44:76], struct.unpack("<III", slot[76:88])
            if kind == "key":
                secret = bytes.fromhex(text)
            elif kind == "code":
                secret = code_bits(text)
            else:
                from argon2.low_level import Type, hash_secret_raw

                secret = hash_secret_raw(text.encode(), salt, passes, memory, lanes, 32, Type.ID)
            rest = Bytes(slot[88:-32])
            rest.take(rest.number(2))
            clear = slot[: 88 + rest.at]
            nonce, sealed = rest.take(12), rest.take(rest.number(2))
            try:
                slot_key = hkdf(salt, secret, b"backstay/1 slot" + bytes([number]))
                bundle = Bytes(AESGCM(slot_key).decrypt(nonce, sealed, clear))
            except Exception:
                continue
            parts = {}
            while bundle.at < len(bundle.data):
                tag = bundle.number(2)
                parts[tag] = bundle.take(bundle.number(2))
            return parts[1], parts[2]
        raise SystemExit("no key slot opens with this key")

    def sealed(self, path, bound_name):
        """Section 5: the plaintext of a sealed object."""
        data = path.read_bytes()
        kind, role = KIND_ROLE[bound_name.split("/")[0]]
        expect(data[:8] == b"BKSTOBJ1" and data[8] == kind and data[16:32] == self.uid, f"{path}: header")
        record_bytes, length = int.from_bytes(data[12:16], "little"), int.from_bytes(data[64:72], "little")
        key = AESGCM(hkdf(data[32:64], self.role(role), b"backstay/1 object" + bytes([kind])))
        plain, at, number = b"", 80, 0
        while True:
            part = min(record_bytes, length - len(plain))
            last = len(plain) + part == length
            nonce = struct.pack("<Q3xB", number, last)
            plain += key.decrypt(nonce, data[at : at + part + 16], data[:80] + bound_name.encode())
            at, number = at + part + 16, number + 1
            if last:
                expect(at == len(data), f"{path}: bytes follow the last record")
                return plain

    def session_key(self, session, wrapped):
        """Section 4."""
        if (session, wrapped) not in self.sessions:
            expect(wrapped[0] == 0, "a session key is wrapped for somebody else")
            aad = b"backstay/1 session key" + self.uid + session
            key = AESGCM(self.role("wrap")).decrypt(wrapped[1:13], wrapped[13:], aad)
            self.sessions[session, wrapped] = key
        return self.sessions[session, wrapped]

    def read_index(self):
        """Section 8: every chunk's places, packs with tombstones left out."""
        self.chunks, buried = {}, set()
        for path in sorted((self.place / "index").iterdir()):
            if path.name.startswith("."):
                continue
            name, digest = path.name.split("-")
            expect(hashlib.sha256(path.read_bytes()).hexdigest() == digest, f"{path} is damaged")
            data = Bytes(self.sealed(path, f"index/{name}"))
            sessions = [(data.take(16), data.take(data.number(2))) for _ in range(data.number(4))]
            packs = [(data.take(32), data.number(8)) for _ in range(data.number(4))]
            for _ in range(data.number(4)):
                chunk, offset, stored = data.take(32), data.number(4), data.number(4)
                raw, codec, session = data.number(3), data.number(1), data.number(2)
                expect(data.number(2) == 0, "an index entry is malformed")
                place = (packs[data.number(4)][0], offset, stored, raw, codec, sessions[session])
                self.chunks.setdefault(chunk, []).append(place)
            buried.update(data.take(32) for _ in range(data.number(4)))
        for chunk, places in self.chunks.items():
            self.chunks[chunk] = [place for place in places if place[0] not in buried]

    def chunk(self, chunk):
        """Section 7: one verified chunk."""
        for pack, offset, stored, raw, codec, session in self.chunks.get(chunk, []):
            path = self.place / "packs" / pack.hex()[:2] / pack.hex()
            with path.open("rb") as file:
                file.seek(offset)
                frame = file.read(stored)
            info = b"backstay/1 chunk" + chunk + bytes([codec]) + struct.pack("<I", raw)
            key = HKDFExpand(hashes.SHA256(), 32, info).derive(self.session_key(*session))
            data = AESGCM(key).decrypt(frame[:12], frame[12:], None)
            if codec == 1:
                data = lz4.block.decompress(data, uncompressed_size=raw)
            expect(blake3.blake3(data, key=self.chunk_key).digest() == chunk, f"chunk {chunk.hex()}")
            return data
        raise Damaged(f"chunk {chunk.hex()} is in no pack")

    def extents(self, root, depth, length):
        """Section 9: (chunk id, offset, length) in order; zeros have an id of zeros."""
        if depth == 0:
            if length:
                yield root, 0, length
            return
        node = Bytes(self.chunk(root))
        expect(node.take(4) == b"BKL1" and node.number(1) == depth, "an extent list is malformed")
        node.take(3)
        count = node.number(4)
        node.take(4)
        for _ in range(count):
            if depth > 1:
                child = node.take(32), node.number(8), node.number(8)
                yield from self.extents(child[0], depth - 1, child[1])
                continue
            chunk = node.take(32)
            if chunk == bytes(32):
                yield chunk, 0, node.number(8)
            else:
                yield chunk, node.number(4), node.number(4)

    def stream(self, reference):
        """A stream's bytes, its checksum compared at the end."""
        total, checksum = 0, blake3.blake3(key=self.stream_key)
        walk = self.extents(bytes.fromhex(reference["root"]), reference["depth"], reference["length_bytes"])
        for chunk, offset, length in walk:
            zeros = chunk == bytes(32)
            checksum.update(chunk + (struct.pack("<Q", length) if zeros else struct.pack("<II", offset, length)))
            yield bytes(length) if zeros else self.chunk(chunk)[offset : offset + length]
            total += length
        expect(total == reference["length_bytes"], "a stream has not its length")
        expect(checksum.hexdigest() == reference["checksum"], "a stream has not its checksum")

    def snapshots(self):
        for path in sorted((self.place / "snapshots").iterdir()):
            if not path.name.startswith("."):
                yield path.name, json.loads(self.sealed(path, f"snapshots/{path.name}"))

    def tree(self, backup):
        """Section 10: the entries of a backup's tree; `backup` is its id with or without prefix."""
        body = backup.split("_")[-1]
        snapshot = dict(self.snapshots())[body]
        for line in b"".join(self.stream(snapshot["tree"])).splitlines():
            yield json.loads(line)

    def table(self, backup, schema, table):
        """Section 14: a table's COPY text, its rows counted. (Their hash is left out: no Python
        package has XXH3 with a secret; every byte was compared with its chunk's id on the way.)"""
        facts, rows = None, 0
        for entry in self.tree(backup):
            if entry["path"][:3] != ["tables", schema, table]:
                continue
            if entry["kind"] == "table":
                facts = entry["facts"]
                continue
            text = b"".join(self.stream(entry["stream"]))
            rows += text.count(b"\n")
            yield text
        expect(facts is not None, f"the backup has no table {schema}.{table}")
        expect(rows == facts["rows"], f"{rows} rows instead of {facts['rows']}")


def main(arguments):
    if len(arguments) < 3:
        raise SystemExit(__doc__)
    repository = Repository(arguments[0], arguments[1])
    match arguments[2:]:
        case ["list"]:
            for _, snapshot in repository.snapshots():
                print(snapshot["id"], snapshot["committed_at"])
        case ["tables", backup]:
            for entry in repository.tree(backup):
                if entry["kind"] == "table":
                    print(json.dumps({"path": entry["path"], "rows": entry["facts"]["rows"]}))
        case ["restore", backup, schema, table]:
            for text in repository.table(backup, schema, table):
                sys.stdout.buffer.write(text)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Damaged as damage:
        raise SystemExit(f"reader: {damage}")
