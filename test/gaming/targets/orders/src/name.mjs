/** A name as it is compared: without accents, case, and what is no letter. */
export function plainName(name) {
  let plain = "";
  for (const char of name.normalize("NFD")) {
    if (/\p{Letter}/u.test(char)) plain += char.toLowerCase();
  }
  return plain;
}
