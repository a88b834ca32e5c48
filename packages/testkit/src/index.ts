export {
  base,
  candidateOf,
  improving,
  oid,
  type PassScript,
  scriptedReport,
  sha,
  submission,
  validating,
} from "./scripted-report.ts";
