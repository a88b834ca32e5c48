import { type FormRule, form } from "./rule.ts";

/** Variables that a test runner, a benchmark or CI sets. */
const runnerName = String.raw`(?:QUESTBUS_\w{0,40}|\w{0,40}BENCH\w{0,40}|VITEST\w*|JEST\w*|MOCHA\w*|PYTEST\w*|CI|GITHUB_ACTIONS|NODE_TEST_CONTEXT|NODE_V8_COVERAGE|npm_(?:lifecycle|config|package|command|execpath)\w*)`;
const quote = `["'\`]`;
const looks = "(?:includes|match|matchAll|indexOf|search|startsWith|endsWith)";
const ownPlace = String.raw`(?:__filename|__dirname|import\.meta \. (?:url|filename|dirname)|process \. cwd \( \))`;
/**
 * What follows a name that is defined, or called with nothing: a first argument with a type, or a body on the same line.
 * No call has either; but a class has a body after what it extends.
 */
const defined = String.raw`(?<!\bextends\s{1,99}\w{1,9}) \( (?:\)|(?:\.{3})?[\w$]{1,99} \?? :|[^()"'\`/]{0,400}\)[^\S\n]{0,99}\{)`;
/** `import` or `require`, unless something else has a member of that name. */
const loading = String.raw`(?<!(?<!\.\.|\bmodule )\. )\b(?:import|require)(?!${defined})`;
const computed = String.raw`(?![\s"'\`)]|new\s+URL \( ["'])`;
const maker = String.raw`(?:\??\. constructor\b|(?:\?\.)? \[ ${quote}constructor${quote} \])`;
const noNew = String.raw`(?<!\bnew\s{1,99}(?:\([^()\n]{0,99}\))?[\w$.[\]]{0,99})`;
const decideNothing = "decide nothing by how or by whom the program is run";

/** Forms that look at how, where or by whom the program is run. */
export const sniffingRules: readonly FormRule[] = [
  {
    id: "stack",
    kind: "sniffing",
    languages: ["js"],
    does: "reads the call stack to see its callers",
    instead: decideNothing,
    forms: [
      form(String.raw`\bError \( [^()\n]{0,400} \) \??\. stack\b`),
      form(
        String.raw`\b(\w+) = (?:new\s+)?\w*Error \( [^()\n]{0,400} \)[\s\S]{0,4000}?\b\1 \??\. stack \??\. ${looks}\b`,
      ),
      form(
        String.raw`\b(?:e|ex|err|error|exception)\w{0,2} \??\. stack\b[^;\n]{0,24}?\. ${looks}\b`,
        String.raw`|\. stack \??\. split\b`,
      ),
      form(String.raw`\. test \( (?:e|ex|err|error|exception)\w{0,2} \??\. stack\b`),
      form(String.raw`\{ stack\b[^}\n]{0,400}\} = (?:new\s+)?Error\b`),
      form(String.raw`\bcaptureStackTrace \( (?!this\b)`, String.raw`|\bprepareStackTrace\b`),
      form(String.raw`\bgetCallSites? \(|\barguments \. callee\b`),
    ],
  },
  {
    id: "entry",
    kind: "sniffing",
    languages: ["js"],
    does: "looks at which program was started, outside of a file that starts one",
    instead: "pass what the command line says as an argument, from the entry file",
    counts: ({ entry }) => !entry,
    forms: [
      form(
        String.raw`\bprocess \??\. (?:argv|mainModule|title)\b`,
        String.raw`|(?<!execArgv: )\bprocess \??\. execArgv\b`,
      ),
      form(String.raw`\brequire \??\. main\b|\bimport\.meta \. main\b|\bmodule \??\. parent\b`),
      form(
        String.raw`\{[^{}]{0,400}\b(?:argv|execArgv|mainModule)\b[^{}]{0,400}\} (?:= process\b|from ${quote}(?:node:)?process${quote})`,
      ),
    ],
  },
  {
    id: "environment",
    kind: "sniffing",
    languages: ["js"],
    does: "reads a variable that test runners, benchmarks or CI set",
    instead: decideNothing,
    forms: [
      form(String.raw`\benv \??\. (?:${runnerName}|_)\b`),
      form(String.raw`\benv (?:\?\.)? \[ ${quote}(?:${runnerName}|_)${quote}`),
      form(String.raw`${quote}${runnerName}${quote} in (?:process \. )?env\b`),
      form(String.raw`\{[^{}]{0,400}\b${runnerName}\b[^{}]{0,400}\} = (?:process \. )?env\b`),
      form(String.raw`NODE_ENV ${quote}?\]? [!=]==? ${quote}(?:test|bench\w*|ci)${quote}`),
      form(String.raw`${quote}(?:test|bench\w*|ci)${quote} [!=]==? process \. env \. NODE_ENV\b`),
      form(String.raw`\bprocess \. env \[ (?!${quote})`, String.raw`|\bprocess (?:\?\.)? \[`),
      form(String.raw`\b(?:keys|entries|values|stringify|getOwnPropertyNames|ownKeys) \( process \. env\b`),
    ],
  },
  {
    id: "process",
    kind: "sniffing",
    languages: "all",
    does: "looks at its own or its parent's process",
    instead: decideNothing,
    forms: [
      form(String.raw`\bprocess \??\. ppid\b|\bgetppid\b|\bGetppid\b|\bProcess \. ppid\b|\$\{?PPID\b`),
      form(String.raw`/proc/(?:self|thread-self|\d|\$|${quote})`),
      form(String.raw`\b(?:exec|execFile|spawn)(?:Sync)? \( ${quote}(?:ps|pgrep|pstree|lsof)\b`),
      form(String.raw`\bpsutil \. Process\b`),
    ],
  },
  {
    id: "loaded",
    kind: "sniffing",
    languages: ["js"],
    does: "looks at which modules are loaded, or into the runtime's own state",
    instead: decideNothing,
    forms: [
      form(String.raw`\brequire \. cache\b|\bmodule \. children\b|\b_(?:cache|pathCache)\b \[`),
      form(String.raw`\bmoduleLoadList\b|\bgetActiveResourcesInfo\b|\bprocess \. (?:binding|report)\b`),
      form(`${quote}node:inspector(?:/promises)?${quote}`),
    ],
  },
  {
    id: "machine",
    kind: "sniffing",
    languages: ["js", "python", "go"],
    does: "looks at the name or load of the machine",
    instead: "let it do the same work on every machine",
    forms: [
      form(String.raw`\bos \??\. (?:hostname|loadavg|userInfo|getloadavg|Hostname)\b`),
      form(
        String.raw`\{[^{}]{0,400}\b(?:hostname|loadavg|userInfo)\b[^{}]{0,400}\} (?:= require \( |from )${quote}(?:node:)?os${quote}`,
      ),
      form(String.raw`\b(?:cpus \( \) \. length|availableParallelism \( \)) [!=]==? (?!1\b)\d`),
      form(String.raw`\bgethostname\b|\bplatform \. node \(`),
    ],
  },
  {
    id: "place",
    kind: "sniffing",
    languages: ["js"],
    does: "compares where it stands or is started with a text",
    instead: decideNothing,
    forms: [
      form(String.raw`${ownPlace} \)? \??\. ${looks}\b`),
      form(`${ownPlace} [!=]==?|[!=]==? ${ownPlace}`),
      form(String.raw`\. test \( ${ownPlace}`),
    ],
  },
  {
    id: "caller",
    kind: "sniffing",
    languages: ["python", "ruby", "go", "rust", "shell", "awk"],
    does: "looks at its callers, its environment or its command line",
    instead: decideNothing,
    forms: [
      form(String.raw`\b_getframe\b|\binspect \. (?:stack|currentframe|getouterframes)\b`),
      form(
        String.raw`\btraceback \. (?:extract|format|print)_stack\b|\b__main__ \. __file__\b|\bsys \. argv \[ 0 \]`,
      ),
      form(String.raw`${quote}(?:pytest|unittest|timeit|bench\w*)${quote} (?:not )?in sys \. modules\b`),
      form(
        String.raw`\bcaller_locations\b|\bruntime \. Callers?\b|\bdebug \. (?:Stack|PrintStack)\b|\bos \. Executable\b`,
      ),
      form(String.raw`\btesting \. Testing \(|\bflag \. Lookup \( "test\.|\bcurrent_exe \(|\bBacktrace::`),
      form(
        String.raw`\b(?:environ|getenv|ENV|Getenv|LookupEnv|env::var(?:_os)?|ENVIRON)\b[^\n]{0,12}["']${runnerName}["']`,
      ),
      form(String.raw`\$\{?${runnerName}\b`),
    ],
  },
  {
    id: "hidden-name",
    kind: "sniffing",
    languages: ["js", "python", "ruby"],
    does: "puts a name together from pieces",
    instead: "write out what is meant",
    forms: [
      /["'`][\w:]{1,12}["'`][ \t]*\+[ \t]*["'`]\w{1,12}["'`]/g,
      form(String.raw`\$\{ ["'\`]\w{1,20}["'\`] \}`),
      form(String.raw`\[ (?:${quote}[^"'\`\n]{1,20}${quote} ,? ){2,20}\] \. join \( ${quote}${quote}`),
      form(String.raw`\bfrom(?:CharCode|CodePoint) \( (?:0x)?\w{1,6} , (?:0x)?\w{1,6} ,`),
      form(String.raw`${quote}[^"'\`\n]{0,80}\\(?:x[4-7][0-9a-f]|u00[4-7][0-9a-f])`),
    ],
  },
  {
    id: "evaluated",
    kind: "sniffing",
    languages: ["js"],
    does: "runs code that no file of code shows, or loads a module whose name it computes",
    instead: "write the code out in a file of its own, and import it by its name",
    forms: [
      form(String.raw`(?<![\w$."'\`/-])eval(?![\w$"'\`/-]| :|${defined})`),
      form(
        String.raw`\b(?:globalThis|global|window|self) (?:\?? \. eval\b|(?:\?\.)? \[ ${quote}eval${quote})`,
      ),
      form(String.raw`(?<![\w$.])Function \(|\bglobalThis \. Function\b`),
      form(String.raw`\. constructor (?:\. constructor\b|\( ${quote})`, `|${noNew}${maker} \\(`),
      form(String.raw`(?:=>|\bfunction\b)[^;\n]{0,200}\) ${maker}(?! \. name\b| [!=]==?)`),
      form(
        String.raw`\b(\w{1,40}) = [\w$.]{1,80}\. constructor\b[\s\S]{0,4000}?(?<![\w$.]|\bnew\s{1,99})\1 \(`,
      ),
      form(
        String.raw`\bconstructor : (\w{1,40})\b[^{}]{0,200}\} = [\s\S]{0,4000}?(?<![\w$.]|\bnew\s{1,99})\1 \(`,
      ),
      form(String.raw`\bset(?:Timeout|Interval) \( ${quote}`),
      form(
        String.raw`\b(?:runIn(?:This|New)?Context|compileFunction|SourceTextModule)\b|\bvm \. Script\b|\. _compile \(`,
        String.raw`|(?:from|require \(|import \(?) ${quote}(?:node:)?vm${quote}`,
      ),
      form(
        String.raw`\beval : (?:true|!0)\b|\bexecPath , \[[^\]\n]{0,400}${quote}(?:-e|-p|-pe|--eval|--print)${quote}`,
      ),
      form(String.raw`${loading} \( ${computed}`),
      form(
        String.raw`${loading} \( (?:new\s+URL \( )?(?:\`[^\`\n]{0,400}\$\{|${quote}[^"'\`\n]{0,400}${quote} \+)`,
      ),
      form(
        String.raw`\b(\w{1,40}) = (?:\w{1,40} \. )?createRequire \( [^()\n]{0,200} \)`,
        String.raw`[\s\S]{0,4000}?(?<![\w$.])\1 \( ${computed}`,
      ),
      form(String.raw`\bimport (?:\(|[^;"'\`]{0,400}\bfrom)? ${quote}(?:data|blob):`),
    ],
  },
  {
    id: "evaluated-elsewhere",
    kind: "sniffing",
    languages: ["python", "ruby", "shell"],
    does: "runs code that no file of code shows, or loads a module whose name it computes",
    instead: "write the code out in a file of its own, and import it by its name",
    forms: [
      form(String.raw`(?<![\w.$-]|\bdef\s{1,99})(?:eval|exec) \(`),
      form(String.raw`\b(?:import_module|__import__) \( (?![\s"'])|\b(?:runpy|execfile)\b`),
      form(String.raw`\b(?:instance|class|module)_eval \(|\bbinding \. eval\b`),
      /(?<![\w./$-])eval[ \t]+["'`$]/g,
    ],
  },
  {
    id: "evaluator-path",
    kind: "sniffing",
    languages: "all",
    does: "names a file of the tests or the benchmark",
    instead: "keep the program ignorant of what judges it",
    forms: [
      form(
        String.raw`${quote}(?:\.{0,2}/){0,9}(?:[\w.-]{1,80}/){0,9}(?:tests?|__tests__|__snapshots__|fixtures?|bench(?:es|marks?)?)/[^"'\`\n]{0,400}${quote}`,
      ),
      form(
        String.raw`${quote}[^"'\`\s]{0,400}[\w-]\.(?:test|spec|bench)\.\w+${quote}|${quote}(?:[^"'\`\s]{0,400}/)?(?:test|bench(?:mark)?)\.(?:[cm]?[jt]s|py|rb|sh)${quote}`,
      ),
    ],
  },
  {
    id: "metric-line",
    kind: "sniffing",
    languages: "all",
    does: "prints, or looks for, a line that only the benchmark prints",
    instead: "leave measuring to the benchmark",
    forms: [form(String.raw`${quote}(?:\\n)*(?:METRIC|DIGEST)(?:[\x20\t]*["'\`]|[\x20\t]+[\w$%])`)],
  },
  {
    id: "one-input",
    kind: "sniffing",
    languages: ["js", "python", "ruby", "go", "rust"],
    does: "recognises one input by its size or its hash",
    instead: "do the same work for every input",
    forms: [
      form(
        String.raw`\b(?:length|size|byteLength|len \( \w+ \)) ={2,3} (?!\d*00\b)(?!(?:16384|32768|65536|131072|262144|524288|1048576)\b)\d{5,}\b`,
      ),
      form(
        String.raw`(?:={2,3}|\bcase|\. has \(|\bin) ${quote}[0-9a-f]{32,128}${quote}`,
        `|${quote}[0-9a-f]{32,128}${quote} (?:={2,3}|:)`,
      ),
    ],
  },
];
