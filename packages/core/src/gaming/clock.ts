import { type FormRule, form } from "./rule.ts";

const quote = `["'\`]`;
/** An assignment, not a comparison or an arrow. */
const assigned = `(?:[-+*/|&?]{0,2})=(?![=>])`;
const builtIns =
  "(?:performance|Performance|Date|Math|JSON|console|Reflect|Object|Array|String|Number|Map|Set|RegExp|Function|Promise|Buffer)";
const globals = "(?:globalThis|global|window|self)";
const timers = "(?:setTimeout|setInterval|setImmediate|queueMicrotask)";
const measureElsewhere = "leave the clock, the output and the built-ins as they are";

/** Forms that change a clock, the output, or a built-in that the benchmark relies on. */
export const clockRules: readonly FormRule[] = [
  {
    id: "assigned",
    kind: "clock",
    languages: ["js"],
    does: "replaces a clock or another built-in",
    instead: measureElsewhere,
    forms: [
      form(String.raw`(?<![\w.])(?:${globals} \. )?${builtIns} \. (?:prototype \. )?[\w$]+ ${assigned}`),
      form(
        String.raw`(?<![\w.])(?:${globals} \. )?${builtIns} (?:\. prototype )?\[[^\]\n]{1,400}\] ${assigned}`,
      ),
      form(
        String.raw`\bprocess \. (?:hrtime|cpuUsage|resourceUsage|memoryUsage|uptime|exit|emit|nextTick)(?: \. \w+)? ${assigned}`,
      ),
      form(String.raw`\bprocess \. std(?:out|err) \. \w+ ${assigned}`),
      form(
        String.raw`\b${globals} \. (?:${builtIns}|${timers}|process|fetch) ${assigned}`,
        String.raw`|\b${globals} \[[^\]\n]{1,400}\] ${assigned}`,
      ),
      new RegExp(String.raw`(?:^|;)[ \t]*(?:performance|Date|${timers})\s*${assigned}`, "gm"),
      form(String.raw`\b(?:perf_hooks|perfHooks|worker_threads|child_process|fs|os) \. [\w$]+ ${assigned}`),
    ],
  },
  {
    id: "defined",
    kind: "clock",
    languages: ["js"],
    does: "redefines a property of a clock or another built-in",
    instead: measureElsewhere,
    forms: [
      form(
        String.raw`\b(?:Object|Reflect) \. (?:defineProperty|defineProperties|assign|set|setPrototypeOf) \( `,
        String.raw`(?:${globals}\b|process\b|(?:${globals} \. )?${builtIns}(?: \. prototype)? ,|require \( ${quote}(?:node:)?(?:perf_hooks|process|fs))`,
      ),
      form(String.raw`\b__define[GS]etter__ \(`),
      form(String.raw`\{[^{}]{0,80}\bdefinePropert(?:y|ies)\b[^{}]{0,80}\} = (?:Object|Reflect)\b`),
      form(String.raw`= (?:Object|Reflect) \. (?:definePropert(?:y|ies)|set)\b(?! \()`),
    ],
  },
  {
    id: "mocked",
    kind: "clock",
    languages: ["js"],
    does: "mocks timers, or hooks into how modules are loaded",
    instead: measureElsewhere,
    forms: [
      form(String.raw`\buseFakeTimers\b|\bmock \. timers\b|\bsyncBuiltinESMExports\b`),
      form(`${quote}(?:@sinonjs/fake-timers|mockdate|timekeeper|sinon|lolex)${quote}`),
      form(
        String.raw`\b_(?:load|resolveFilename|compile|extensions) (?:\[[^\]]{0,400}\] )?=(?![=>])|\bregisterHooks \(|\bmodule \. register \(`,
      ),
      form(String.raw`\bLD_PRELOAD\b|\bfaketime\b|\bDYLD_INSERT_LIBRARIES\b`),
    ],
  },
  {
    id: "other-language",
    kind: "clock",
    languages: ["python", "ruby", "go", "shell", "awk", "rust"],
    does: "replaces a clock, or where the output goes",
    instead: measureElsewhere,
    forms: [
      form(
        String.raw`\b(?:time|timeit|datetime|resource) \. \w+ =(?!=)`,
        String.raw`|\b(?:sys \. (?:stdout|stderr)|builtins \. \w+) =(?!=)`,
      ),
      form(String.raw`\bsetattr \( (?:time|timeit|datetime|resource|sys|builtins)\b`),
      form(String.raw`\bfreezegun\b|\bmonkeypatch\b|\bunittest\.mock\b|\bfrom\s+unittest\s+import\s+mock\b`),
      form(String.raw`\bdef\s+(?:Time|Process) \. |\bclass << (?:Time|Process)\b|\bTime \. stub`),
      form(String.raw`\bgo:linkname\b|\bLD_PRELOAD\b|\bfaketime\b|\balias\s+(?:date|time)=`),
      /^[ \t]*(?:function[ \t]+)?(?:date|time)[ \t]*\([ \t]*\)[ \t]*\{/gm,
    ],
  },
];
