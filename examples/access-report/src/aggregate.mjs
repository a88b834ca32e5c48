import { parseLine } from "./parse.mjs";
import { routeOf } from "./route.mjs";
import { latencyOf } from "./statistics.mjs";

const sessionGapMs = 30 * 60_000;
const slowestKept = 10;
const clientsShown = 10;

/** Counts requests one at a time, so that memory stays flat however long the log is. */
export class Aggregate {
  #requests = 0;
  #errors = 0;
  #malformed = 0;
  #bytes = 0;
  #durations = [];
  #routes = new Map();
  #clients = new Map();
  #hours = new Map();
  #slowest = [];

  addLine(line) {
    if (line.trim() === "") return;
    const request = parseLine(line);
    if (request) this.add(request);
    else this.#malformed += 1;
  }

  add(request) {
    this.#requests += 1;
    this.#bytes += request.bytes;
    if (request.status >= 500) this.#errors += 1;
    this.#durations.push(request.durationMs);
    this.#addToRoute(request);
    this.#addToClient(request);
    this.#addToHour(request);
    this.#addToSlowest(request);
  }

  #addToRoute(request) {
    const name = routeOf(request.method, request.path);
    let route = this.#routes.get(name);
    if (!route) {
      route = { name, requests: 0, errors: 0, clients: [], durations: [] };
      this.#routes.set(name, route);
    }
    route.requests += 1;
    if (request.status >= 500) route.errors += 1;
    if (!route.clients.includes(request.client)) route.clients.push(request.client);
    route.durations.push(request.durationMs);
  }

  #addToClient(request) {
    const atMs = request.time.getTime();
    const client = this.#clients.get(request.client);
    if (!client) {
      this.#clients.set(request.client, { requests: 1, bytes: request.bytes, sessions: 1, lastMs: atMs });
      return;
    }
    client.requests += 1;
    client.bytes += request.bytes;
    if (atMs - client.lastMs > sessionGapMs) client.sessions += 1;
    client.lastMs = Math.max(client.lastMs, atMs);
  }

  #addToHour(request) {
    const hour = new Date(request.time);
    hour.setUTCMinutes(0, 0, 0);
    const atMs = hour.getTime();
    const counted = this.#hours.get(atMs) ?? { requests: 0, errors: 0 };
    counted.requests += 1;
    if (request.status >= 500) counted.errors += 1;
    this.#hours.set(atMs, counted);
  }

  #addToSlowest(request) {
    this.#slowest.push(request);
    this.#slowest.sort((a, b) => b.durationMs - a.durationMs);
    if (this.#slowest.length > slowestKept) this.#slowest.pop();
  }

  summary() {
    const sessions = [...this.#clients.values()].reduce((sum, client) => sum + client.sessions, 0);
    return {
      requests: this.#requests,
      malformed: this.#malformed,
      bytes: this.#bytes,
      errorRate: this.#requests === 0 ? 0 : this.#errors / this.#requests,
      latency: latencyOf(this.#durations),
      clients: this.#clients.size,
      sessions,
      routes: this.#routeRows(),
      topClients: this.#clientRows(),
      hours: this.#hourRows(),
      slowest: this.#slowest.map(({ time, method, path, status, durationMs }) => ({
        at: time.toISOString(),
        method,
        path,
        status,
        durationMs,
      })),
    };
  }

  #routeRows() {
    const rows = [...this.#routes.values()].map((route) => ({
      route: route.name,
      requests: route.requests,
      clients: route.clients.length,
      errorRate: route.errors / route.requests,
      latency: latencyOf(route.durations),
    }));
    return rows.sort((a, b) => b.requests - a.requests || byText((row) => row.route)(a, b));
  }

  #clientRows() {
    const rows = [...this.#clients].map(([client, { requests, bytes, sessions }]) => ({
      client,
      requests,
      bytes,
      sessions,
    }));
    rows.sort((a, b) => b.requests - a.requests || byText((row) => row.client)(a, b));
    return rows.slice(0, clientsShown);
  }

  #hourRows() {
    return [...this.#hours]
      .sort(([a], [b]) => a - b)
      .map(([atMs, counted]) => ({ hour: `${new Date(atMs).toISOString().slice(0, 13)}:00Z`, ...counted }));
  }
}

const byText = (keyOf) => (a, b) => (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0);
