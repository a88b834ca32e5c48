const numberPart = /^\d+$/;
const uuidPart = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The route of a request: its path without the query, and with `:id` for each number or UUID. */
export function routeOf(method, path) {
  const query = path.indexOf("?");
  const parts = (query < 0 ? path : path.slice(0, query)).split("/");
  return `${method} ${parts.map((part) => (numberPart.test(part) || uuidPart.test(part) ? ":id" : part)).join("/")}`;
}
