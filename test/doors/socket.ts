import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { fromSeed } from "@nats-io/nkeys";
import { until } from "@questbus/testkit";

/** A bare connection to the broker: the protocol's own lines, with no client library that would refuse to send them. */
export type RawClient = {
  /** What the broker sent, all of it. */
  heard(): string;
  send(...lines: (string | Buffer)[]): void;
  /** The broker has read all that was sent; also when it hung up on it. */
  settled(): Promise<void>;
  close(): void;
};

type KeyPair = ReturnType<typeof fromSeed>;
/** The CONNECT of a connection, from the broker's nonce; null: none is sent. */
export type Introduction = (nonce: string) => object | null;

export const keyOf = (path: string): KeyPair =>
  fromSeed(new TextEncoder().encode(readFileSync(path, "utf8").trim()));

/** As the holder of a key; `said` replaces parts of what is said. */
export const as =
  (key: KeyPair, said: object = {}): Introduction =>
  (nonce) => ({
    verbose: false,
    pedantic: false,
    headers: true,
    protocol: 1,
    lang: "raw",
    version: "0",
    nkey: key.getPublicKey(),
    sig: Buffer.from(key.sign(Buffer.from(nonce))).toString("base64url"),
    ...said,
  });

/** Publishes; without `headers` as PUB, else as HPUB. */
export function pub(subject: string, payload: string | Buffer, reply = "", headers = ""): Buffer {
  const body = Buffer.from(payload);
  const head = headers === "" ? "" : `NATS/1.0\r\n${headers}\r\n\r\n`;
  const sizes = head === "" ? `${body.length}` : `${head.length} ${head.length + body.length}`;
  const line = `${head === "" ? "PUB" : "HPUB"} ${subject} ${reply === "" ? "" : `${reply} `}${sizes}\r\n${head}`;
  return Buffer.concat([Buffer.from(line), body, Buffer.from("\r\n")]);
}

export async function openSocket(url: string, introduce: Introduction): Promise<RawClient> {
  const { hostname, port } = new URL(url);
  const socket: Socket = connect(Number(port), hostname);
  let heard = "";
  let isOver = false;
  socket.setEncoding("latin1").on("data", (text: string) => {
    heard += text;
  });
  socket.on("error", () => {});
  socket.once("close", () => {
    isOver = true;
  });
  const info = await until("the broker's first word", () => /^INFO (\{.*\}) *\r\n/.exec(heard)?.[1]);
  const said = introduce((JSON.parse(info) as { nonce?: string }).nonce ?? "");
  let pings = 0;
  const pongs = (): number => heard.split("\r\nPONG").length - 1;
  const settled = async (): Promise<void> => {
    pings += 1;
    socket.write("PING\r\n");
    await until("the broker to have read it", () => isOver || pongs() >= pings);
  };
  if (said) socket.write(`CONNECT ${JSON.stringify(said)}\r\n`);
  return {
    heard: () => heard,
    send: (...lines) => void socket.write(Buffer.concat(lines.map((line) => Buffer.from(line)))),
    settled,
    close: () => socket.destroy(),
  };
}
