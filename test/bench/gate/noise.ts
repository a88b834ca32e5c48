/**
 * Simulated machines. Each gives the time of one run after another of a program that takes 1 on a quiet machine;
 * whatever disturbs it is in the profile. All randomness comes from a seed, so each figure can be had again.
 */

/** A seeded generator (sfc32, seeded by the FNV-1a hash of `seed`): uniform on [0, 1). */
export function uniform(seed: string): () => number {
  let hash = 0x811c9dc5;
  const word = (salt: number): number => {
    for (let i = 0; i < seed.length; i++) hash = Math.imul(hash ^ seed.charCodeAt(i), 0x01000193);
    hash = Math.imul(hash ^ salt, 0x01000193);
    return (hash ^ (hash >>> 15)) | 0;
  };
  let [a, b, c, counter] = [word(1), word(2), word(3), 1];
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 4_294_967_296;
  };
  for (let i = 0; i < 12; i++) next();
  return next;
}

/** Where a run stands: its number on this machine, and whether it is the second of a pair. */
type Turn = { run: number; second: boolean };

/** The logarithm of the time of a run, as a walk through time: one call a run, in order. */
type Walk = (turn: Turn) => number;

type Chance = { uniform: () => number; normal: () => number };

const logSd = (cv: number): number => Math.sqrt(Math.log1p(cv ** 2));
const iid =
  (cv: number) =>
  ({ normal }: Chance): Walk => {
    const sd = logSd(cv);
    return () => sd * normal();
  };

function ar1({ normal }: Chance): Walk {
  const rho = 0.9;
  const sd = logSd(0.05);
  let x = sd * normal();
  return () => {
    x = rho * x + Math.sqrt(1 - rho ** 2) * sd * normal();
    return x;
  };
}

function linearDrift({ uniform: chance, normal }: Chance): Walk {
  const slope = ((chance() < 0.5 ? -1 : 1) * 0.1) / 40;
  const sd = logSd(0.05);
  return ({ run }) => slope * run + sd * normal();
}

function sineDrift({ uniform: chance, normal }: Chance): Walk {
  const phase = 2 * Math.PI * chance();
  const sd = logSd(0.05);
  return ({ run }) => 0.1 * Math.sin((2 * Math.PI * run) / 40 + phase) + sd * normal();
}

function stickyBimodal({ uniform: chance, normal }: Chance): Walk {
  const sd = logSd(0.05);
  let slow = chance() < 0.5;
  return () => {
    if (chance() < 0.05) slow = !slow;
    return (slow ? Math.log(1.2) : 0) + sd * normal();
  };
}

function spikes({ uniform: chance, normal }: Chance): Walk {
  const sd = logSd(0.05);
  return () => {
    const spike = chance() < 0.08 ? -0.5 * Math.log(1 - chance()) : 0;
    return Math.log1p(spike) + sd * normal();
  };
}

function stepNeighbour({ uniform: chance, normal }: Chance): Walk {
  const sd = logSd(0.05);
  const at = Math.floor(60 * chance());
  const by = Math.log1p(chance() < 0.5 ? 0.1 : -0.1);
  return ({ run }) => (run >= at ? by : 0) + sd * normal();
}

function orderEffect({ normal }: Chance): Walk {
  const sd = logSd(0.02);
  return ({ second }) => (second ? Math.log1p(-0.02) : 0) + sd * normal();
}

/** What each machine does, in words and as a walk. */
export const profiles = {
  "iid-2": { words: "lognormal noise, CV 2 %", walk: iid(0.02) },
  "iid-5": { words: "lognormal noise, CV 5 %", walk: iid(0.05) },
  "iid-10": { words: "lognormal noise, CV 10 %", walk: iid(0.1) },
  linear: { words: "CV 5 %, drifting ±10 % per 40 runs", walk: linearDrift },
  sine: { words: "CV 5 %, a sine of ±10 % per 40 runs", walk: sineDrift },
  ar1: { words: "AR(1), ρ .9, CV 5 %", walk: ar1 },
  bimodal: { words: "CV 5 %, a slow mode of +20 % that stays for 20 runs", walk: stickyBimodal },
  spikes: { words: "CV 5 %, 8 % of runs with an exponential spike of +50 % on average", walk: spikes },
  step: { words: "CV 5 %, a neighbour of ±10 % from a random run on", walk: stepNeighbour },
  order: { words: "CV 2 %, the second run of a pair 2 % faster", walk: orderEffect },
} as const satisfies Record<string, { words: string; walk: (chance: Chance) => Walk }>;

export type Profile = keyof typeof profiles;
export const profileNames = Object.keys(profiles) as Profile[];

export type Machine = {
  /** The time of the next run of a program that takes `length` on a quiet machine. */
  readonly run: (length: number, second?: boolean) => number;
};

export function createMachine(profile: Profile, seed: string): Machine {
  const next = uniform(seed);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  const walk: Walk = profiles[profile].walk({ uniform: next, normal });
  let run = 0;
  return { run: (length, second = false) => length * Math.exp(walk({ run: run++, second })) };
}
