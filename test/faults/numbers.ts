/** Numbers from a seed: the same ones for ever (splitmix32 after Steele, Lea and Flood, doi 10.1145/2660193.2660195). */
export type Numbers = {
  /** An integer from 0 up to, not including, `count`. */
  below(count: number): number;
  /** True with this chance. */
  chance(share: number): boolean;
  one<T>(list: readonly T[]): T;
  hex(length: number): string;
};

export function numbersOf(seed: number): Numbers {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
  const below = (count: number): number => {
    if (!(count > 0)) throw new RangeError(`there is no number from 0 up to, not including, ${count}`);
    return next() % count;
  };
  return {
    below,
    chance: (share) => next() < share * 2 ** 32,
    one: (list) => list[below(list.length)] as (typeof list)[number],
    hex(length) {
      let text = "";
      for (let at = 0; at < length; at += 1) text += below(16).toString(16);
      return text;
    },
  };
}
