/** One measured promise: what was found, beside what was promised. */
export type Promised = { id: string; what: string; goal: string; value: string; ok: boolean };

export type ProveOptions = { full: boolean; note: (text: string) => void };

/** The promises of one area, each as soon as it was measured. */
export type Area = (options: ProveOptions) => AsyncIterable<Promised>;
