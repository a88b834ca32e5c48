import { renameSync } from "node:fs";
import { limit } from "@questbus/protocol";
import {
  type Head,
  openSegments,
  openSigner,
  openStore,
  readCheckpoints,
  type Segments,
  type Signer,
  type StoreReader,
  segmentsIn,
  storeCheckpoint,
} from "@questbus/store";
import { heldCursor } from "./standby/cursor.ts";

/**
 * The archive: carries committed rows out of the database's file, into the segments beside the backups, and signs
 * checkpoints of the chain. It reads the database as anybody may, in a thread of its own, so that no command waits for it.
 *
 * - A1: a row is in a segment, and that on the disk, `archiveEveryMs` after its commit plus the time to write it.
 * - A2: a checkpoint is signed only while the journal still holds what the last one signed.
 * - A3: what keeps checkpoints from being signed keeps no row from its segment.
 * - A4: segments of another journal, and those whose end cannot be read, are set aside, never continued.
 */
export type ArchivePlace = {
  stateDir: string;
  backups: string;
  /** Folders for checkpoints: our own, and the one that the operator names. */
  checkpoints: readonly string[];
  /** In a cluster, rows wait until the others hold them: one that does not may be taken away again. */
  heldOnly?: boolean;
};

export type Archive = {
  /** Carries over what was committed; true when there was something. */
  advance(): boolean;
  /** Signs where the journal stands, when there is more to sign than the last time. */
  checkpoint(): void;
  close(): void;
};

const linesMax = 2_000;

export function openArchive(place: ArchivePlace, nowMs: () => number = Date.now): Archive {
  const store = openStore({ dir: place.stateDir, mode: "read" });
  const segments = openOwnSegments(store, segmentsIn(place.backups), nowMs);
  const signing = new Signing(store, place, nowMs);
  const endSeq = (): number => (place.heldOnly ? store.getCursor(heldCursor) : Number.POSITIVE_INFINITY);
  return {
    advance() {
      const from = segments.last()?.seq ?? 0;
      for (;;) {
        const fromSeq = segments.last()?.seq ?? 0;
        const lines = store.readLines(fromSeq, Math.min(linesMax, Math.max(0, endSeq() - fromSeq)));
        if (lines.length === 0) break;
        segments.append(lines);
      }
      const to = segments.last();
      signing.signIfDue(to);
      return (to?.seq ?? 0) > from;
    },
    checkpoint: () => signing.sign(segments.last()),
    close() {
      segments.close();
      store.close();
    },
  };
}

const hashAt = (store: StoreReader, seq: number): string | null =>
  store.readJournal({ afterSeq: seq - 1, limit: 1 }).find((row) => row.seq === seq)?.hash ?? null;

function openOwnSegments(store: StoreReader, dir: string, nowMs: () => number): Segments {
  const segments = openedSegments(dir);
  const last = segments?.last();
  if (segments && (!last || hashAt(store, last.seq) === last.hash)) return segments;
  segments?.close();
  renameSync(dir, `${dir}-until-${nowMs()}`);
  return openSegments(dir);
}

/** Null when their last line is damaged: what comes after it could not be restored. */
function openedSegments(dir: string): Segments | null {
  try {
    return openSegments(dir);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

class Signing {
  readonly #store: StoreReader;
  readonly #place: ArchivePlace;
  readonly #nowMs: () => number;
  #signer: Signer | null = null;
  #last: Head = { seq: 0, hash: "" };
  #lastMs: number;

  constructor(store: StoreReader, place: ArchivePlace, nowMs: () => number) {
    this.#store = store;
    this.#place = place;
    this.#nowMs = nowMs;
    this.#lastMs = nowMs();
  }

  #open(): Signer {
    if (this.#signer) return this.#signer;
    const { stateDir, checkpoints } = this.#place;
    const { installation } = this.#store;
    const signer = openSigner(stateDir, installation);
    const [own] = checkpoints;
    const signed = own ? readCheckpoints(own, signer.verifierKey, installation).signed.at(-1) : undefined;
    if (signed) this.#last = signed;
    this.#signer = signer;
    return signer;
  }

  signIfDue(head: Head | null): void {
    this.#open();
    const rows = (head?.seq ?? 0) - this.#last.seq;
    const due = rows >= limit.checkpointEveryRows || this.#nowMs() - this.#lastMs >= limit.checkpointEveryMs;
    if (rows > 0 && due) this.sign(head);
  }

  sign(head: Head | null): void {
    const signer = this.#open();
    if (!head || head.hash === this.#last.hash) return;
    if (this.#last.seq > 0 && hashAt(this.#store, this.#last.seq) !== this.#last.hash)
      throw new Error(`row ${this.#last.seq} is not what was signed: run questbus audit verify`);
    storeCheckpoint(this.#place.checkpoints, signer, head);
    this.#last = head;
    this.#lastMs = this.#nowMs();
  }
}
