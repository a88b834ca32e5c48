import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { encode } from "@nats-io/nkeys";
import { Codec } from "@nats-io/nkeys/lib/codec.js";
import { Prefix } from "@nats-io/nkeys/lib/nkeys.js";
import type { Authenticator } from "@nats-io/transport-node";

/** What a key of a user is good for; its seed is in neither. */
export type UserKey = {
  /** The public half, as the broker's configuration names it. */
  readonly publicKey: string;
  /** Signs the broker's challenge. */
  readonly authenticator: Authenticator;
};

/** What stands before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410). */
const pkcs8 = Buffer.from("302e020100300506032b657004220420", "hex");

/**
 * The key of a seed, signed with by OpenSSL: in JavaScript, as the client library does it, the keys of a stack took a
 * third of a second of its start, and each connection a tenth.
 *
 * @throws Error when it is no seed of a user
 */
export function userKeyOf(seed: Uint8Array): UserKey {
  const { buf, prefix } = Codec.decodeSeed(seed);
  if (prefix !== Prefix.User) throw new TypeError("a seed of something else than a user");
  const key = createPrivateKey({ key: Buffer.concat([pkcs8, buf]), format: "der", type: "pkcs8" });
  const { x = "" } = createPublicKey(key).export({ format: "jwk" });
  const publicKey = new TextDecoder().decode(Codec.encode(prefix, Buffer.from(x, "base64url")));
  return {
    publicKey,
    authenticator: (nonce) => ({
      nkey: publicKey,
      sig: nonce ? encode(sign(null, Buffer.from(nonce), key)) : "",
    }),
  };
}
