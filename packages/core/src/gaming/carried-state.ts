import { type FormRule, form, type RuleContext } from "./rule.ts";

const quote = `["'\`]`;
const insideOneRun = "keep what is remembered inside one run of the program";

/** Writing files, in the languages that targets are mostly written in; descriptors 1 and 2 are the output. */
const writing: readonly RegExp[] = [
  form(String.raw`\b(?:writeFile|appendFile|copyFile)(?:Sync)? \(|\b(?:rename|link|symlink|cp)Sync \(`),
  form(String.raw`\bfs\w* (?:\. promises )?\. (?:rename|link|symlink|cp) \(`),
  form(
    String.raw`\bcreateWriteStream \( (?!null\b|undefined\b|${quote}${quote}|${quote}/dev/std)(?![^()\n]{0,400}\bfd:)`,
  ),
  form(String.raw`\bopen(?:Sync)? \( [^()\n]{0,400}, ${quote}[rwab+x]{0,4}[wa+x][rwab+x]{0,4}${quote}`),
  form(
    String.raw`\. (?:write_text|write_bytes) \(|\b(?:json|pickle|marshal|joblib) \. dump \(|\bnp \. savez?\b`,
  ),
  form(
    String.raw`\bos \. (?:WriteFile|Create|OpenFile) \(|\bioutil \. WriteFile\b|\bfs::write \(|\bFile::create \(`,
  ),
  form(String.raw`\b(?:File|IO) \. (?:write|binwrite) \(|\bMarshal \. dump\b`),
];
const shellWriting: readonly RegExp[] = [
  /(?<!\(\([^)\n]{0,200})(?<![0-9<=>-])>{1,2}[ \t]*(?:"(?!\/dev\/)[\w$./{}-]+"|(?!\/dev\/|&)[\w$./{}-]+)|\btee[ \t]/g,
];
const awkWriting: readonly RegExp[] = [/\bprintf?\b[^\n;}]{0,400}[^=\n]>{1,2}[ \t]*(?!"\/dev\/)["\w]/g];

/** True when nothing among the changed files did such a thing before. */
const isNew =
  (forms: readonly RegExp[]) =>
  ({ before }: RuleContext): boolean =>
    !forms.some((each) => before.search(each) >= 0);

const connecting: readonly RegExp[] = [
  form(
    String.raw`\b(?:net|http|https|http2|tls|dgram) \. (?:connect|createConnection|createServer|createSocket|request|get) \(`,
  ),
  form(String.raw`(?:from|require \(|import \() ${quote}(?:node:)?(?:net|dgram|http2?|https|tls)${quote}`),
  form(String.raw`\bfetch \( ${quote}https?://(?:localhost|127\.|\[::1\])`),
  form(
    String.raw`\bsocket \. (?:socket|create_connection)\b|\bnet \. (?:Dial|Listen)\b|\b(?:TCP|UNIX)(?:Socket|Server)\b`,
  ),
];
const spawning = /\b(?:spawn|fork|exec|execFile)(?:Sync)?\s*\(|\bchild_process\b|\bsubprocess\b/;

/** Forms by which something outlives a run: files, stores, processes. */
export const carriedStateRules: readonly FormRule[] = [
  {
    id: "shared-place",
    kind: "carried-state",
    languages: "all",
    does: "uses a place outside of the program's own files, where one run can leave something for the next",
    instead: insideOneRun,
    forms: [
      form(String.raw`\b(?:tmpdir|homedir) \(|\bmkdtemp(?:Sync)? \(`),
      form(String.raw`${quote}/(?:(?:var/)?tmp|dev/shm|run/user|var/cache)\b`),
      form(String.raw`\benv (?:\?? \. |\[ ${quote})(?:HOME|TMPDIR|TMP|TEMP|XDG_\w+|LOCALAPPDATA|APPDATA)\b`),
      form(
        String.raw`\bXDG_(?:CACHE_HOME|RUNTIME_DIR|DATA_HOME|STATE_HOME)\b|(?:node_modules/\.cache|/\.cache\b|${quote}\.cache\b)`,
      ),
      form(
        String.raw`\btempfile \. |\bgettempdir\b|\bexpanduser\b|\bPath \. home \(|\bUserCacheDir\b|\bos \. TempDir\b|\bDir \. (?:tmpdir|home)\b|\btemp_dir \(`,
      ),
    ],
  },
  {
    id: "shell-place",
    kind: "carried-state",
    languages: ["shell", "awk"],
    does: "uses a place outside of the program's own files, where one run can leave something for the next",
    instead: insideOneRun,
    forms: [
      form(
        String.raw`\$\{?(?:HOME|TMPDIR|XDG_\w+)\b|(?<![\w.])~/|(?<![\w.])/(?:(?:var/)?tmp|dev/shm)/|\bmktemp\b`,
      ),
    ],
  },
  {
    id: "written-file",
    kind: "carried-state",
    languages: ["js", "python", "ruby", "go", "rust"],
    does: "writes a file, which the program did not do before",
    instead: insideOneRun,
    counts: isNew(writing),
    forms: writing,
  },
  ...(["shell", "awk"] as const).map((language): FormRule => {
    const forms = language === "awk" ? awkWriting : shellWriting;
    return {
      id: "shell-written-file",
      kind: "carried-state",
      languages: [language],
      does: "writes a file, which the program did not do before",
      instead: insideOneRun,
      counts: isNew(forms),
      forms,
    };
  }),
  {
    id: "store",
    kind: "carried-state",
    languages: ["js", "python", "ruby", "go"],
    does: "opens a store that outlives the run",
    instead: insideOneRun,
    forms: [
      form(
        String.raw`(?:from|require \(|import \(?) ${quote}(?:node:sqlite|better-sqlite3|sqlite3|level(?:down|-\w+)?|classic-level|lmdb|rocksdb|ioredis|redis|memcached|memjs|keyv|node-persist|flat-cache|file-entry-cache|cacache|find-cache-dir|node-localstorage|conf|configstore|v8-compile-cache)${quote}`,
      ),
      form(String.raw`\benableCompileCache \(|\blocalStorage \. |\bstartupSnapshot\b|\bcachedData\b`),
      /^[ \t]*(?:import|from)[ \t]+(?:sqlite3|shelve|dbm|diskcache|redis|lmdb)\b/gm,
      form(String.raw`\bjoblib \. Memory\b|\bPStore\b`),
    ],
  },
  {
    id: "left-running",
    kind: "carried-state",
    languages: "all",
    does: "starts a process that may run on after the program ended",
    instead: "let the work be done, and paid for, inside the run",
    forms: [
      form(String.raw`\bdetached : (?:true|!0|1)\b|\bstart_new_session = True\b|\bSets(?:id|pgid) : true\b`),
      form(String.raw`\bos \. (?:fork|setsid|daemon)\b|\bProcess \. (?:daemon|detach)\b`),
      form(
        String.raw`(?:^|[\s"'\`;(])(?:nohup|setsid|disown|systemd-run|start-stop-daemon|crontab)(?=[\s"'\`])`,
      ),
      form(String.raw`\bexec(?:Sync)? \( ["'\`][^"'\`\n]{0,400}[^&>]&["'\`]`),
    ],
  },
  {
    id: "let-go",
    kind: "carried-state",
    languages: ["js"],
    does: "starts a process and does not wait for it",
    instead: "let the work be done, and paid for, inside the run",
    counts: ({ added }) => spawning.test(added),
    forms: [form(String.raw`\. unref \( \)|\. disconnect \( \)`)],
  },
  {
    id: "background",
    kind: "carried-state",
    languages: ["shell"],
    does: "starts a process in the background",
    instead: "wait for it, inside the run",
    counts: ({ added }) => !/\bwait\b/.test(added),
    forms: [/[^&>|\s][ \t]*&[ \t]*$/gm],
  },
  {
    id: "other-process",
    kind: "carried-state",
    languages: ["js", "python", "ruby", "go"],
    does: "talks to another process, which the program did not do before",
    instead: "do the work inside the run",
    counts: isNew(connecting),
    forms: connecting,
  },
];
