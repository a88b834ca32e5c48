/** The workloads: one durable phase (W1) or three (W3), the same input and result for every system. */
export const workloads = ["W1", "W3"] as const;
export type Workload = (typeof workloads)[number];

export const inputOf = (task: string): object => ({ task, goal: "g".repeat(100) });
/** About 285 bytes of JSON. */
export const resultOf = (task: string): object => ({
  ok: true,
  task,
  summary: "r".repeat(230),
  exit: 0,
  ms: 0,
});
export const workersCount = 4;

/** A system that is up: `submit` resolves when the submitter has the durable result. */
export type Rival = {
  name: string;
  durability: string;
  submit(task: string): Promise<unknown>;
  /** Its servers and workers, beside this process. */
  pids(): number[];
  /** Counts what its own store says is done. */
  done(): Promise<number> | number;
  close(): Promise<void>;
};

export type Open = (workload: Workload) => Promise<Rival>;
