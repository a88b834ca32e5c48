import { createAccount, createCurve, createUser } from "@nats-io/nkeys";
import { nkeyAuthenticator } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { userKeyOf } from "../src/nkey.ts";

test("a key says what the client library's own would say", () => {
  for (let at = 0; at < 3; at += 1) {
    const seed = createUser().getSeed();
    const { publicKey, authenticator } = userKeyOf(seed);
    const theirs = nkeyAuthenticator(seed);
    for (const nonce of ["", "a", "8BZ2d9ZfnLTOqnM"]) expect(authenticator(nonce)).toEqual(theirs(nonce));
    expect(authenticator()).toEqual(theirs());
    expect(authenticator("a")).toMatchObject({ nkey: publicKey });
  }
});

test("only a user's seed is taken, whole", () => {
  const seed = createUser().getSeed();
  const cut = [seed.slice(1), seed.slice(0, -1), Buffer.from("SUSECRET"), new Uint8Array()];
  for (const each of [createAccount().getSeed(), createCurve().getSeed(), ...cut])
    expect(() => userKeyOf(each)).toThrow();
});
