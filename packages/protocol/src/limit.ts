/**
 * Every bound of the product in one place, with its reason. The relations between them are asserted in
 * `test/limit.test.ts`: a change that breaks one fails there, not in production.
 */
export const limit = {
  /** A leader that does not renew for this long has led; whole seconds, which is what the broker counts in. */
  leaderLeaseMs: 3_000,
  leaderRenewEveryMs: 600,
  /** A leader stops this long before the broker would let another one in. */
  leaderMarginMs: 400,
  /** How often a standby asks whether the lease is free. */
  leaderTakeEveryMs: 150,
  /** Bytes of one message of the batch stream; a larger batch takes several. */
  batchBytesMax: 1_048_576,
  /** Passes of one assignment; the arbiter may grant one more. */
  passesMax: 3,
  /** Passes the arbiter may grant on top of `passesMax`. */
  passesGrantedMax: 1,
  /** A lease that is not renewed for this long is taken back. */
  leaseMs: 10_000,
  /** How often one task is offered before it counts as failed: whatever ends its holders would end the next, too. */
  offersMax: 5,
  /** An agent whose work stands still for this long, beyond its longest command, loses its lease. */
  stillMs: 300_000,
  /** Longest that preparing a tree may take. */
  prepareMs: 600_000,
  /** How often a healthy agent renews: three chances in one lease. */
  renewEveryMs: 3_000,
  /** How long the gateway renews a lease for a client that says nothing, usually and at most: a model thinks for minutes. */
  heldMs: 600_000,
  heldMsMax: 3_600_000,
  /** Longest a `claim` waits for work before it answers "none". */
  claimWaitMsMax: 25_000,
  /** Longest a `monitor` waits for its turn before it says whose it is. */
  monitorWaitMsMax: 120_000,
  /** How long a caller waits for an answer beyond the command's own wait. */
  answerTimeoutMs: 5_000,
  /** Longest duration a quest may write: seven days. A timer of Node holds 24.8 days, and fires at once beyond that. */
  durationMsMax: 604_800_000,
  /** Largest message on the bus; the broker's own setting is the same. */
  messageBytesMax: 1_048_576,
  /** Largest patch a quest may carry. */
  patchBytesMax: 1_048_576,
  /** Largest quest file. */
  questFileBytesMax: 262_144,
  /** Output kept of one command; the rest is counted and dropped. */
  outputBytesMax: 1_048_576,
  /** Processes and threads of one command in a sandbox: a build on a large machine has some hundreds. */
  sandboxProcessesMax: 4_096,
  /** Largest file that a command in a sandbox can write. */
  sandboxFileBytesMax: 8_589_934_592,
  /** What a sandbox's own /tmp holds, in memory; TMPDIR is on the disk. */
  sandboxTmpBytesMax: 1_073_741_824,
  /** Largest file of results that one run of a benchmark may write: 100,000 points of k6, with room. */
  resultsBytesMax: 67_108_864,
  /** Connections of a load: a machine has 28,000 ports for them, and some are still closing. */
  connectionsMax: 1_000,
  /** Longest load of one run: ten minutes. */
  loadMsMax: 600_000,
  /** Answers of one load whose time is kept, 8 bytes each. */
  loadAnswersMax: 10_000_000,
  requestBodyCharsMax: 65_536,
  /** Characters of a command's output that travel in a report. */
  excerptCharsMax: 2_000,
  /** Pairs a pass may spend on its decision. */
  pairsMax: 1_000,
  /** Fewer could not prove any gain, however large, at a pass's share of the error budget. */
  pairsMin: 16,
  pairsDefault: 90,
  /** Pairs × (guards + 2): about 70 bytes of each travel in the one report of a measurement. */
  pairValuesMax: 6_000,
  /** Fresh pairs that measure the effect to report, after the decision. */
  confirmationPairs: 16,
  /** Fixers one quest may name. */
  fixersMax: 32,
  guardsMax: 16,
  /** Functions that an analysis names: beyond ten a share is too small to chase. */
  hotFunctionsMax: 10,
  /** Characters of a function's name. */
  nameCharsMax: 120,
  /** Largest CPU profile that is kept as evidence: at the sampling interval chosen, some ten times the usual. */
  profileBytesMax: 8_388_608,
  /** Processes of one run whose profiles are read. */
  profilesMax: 16,
  /** Parameters that one knobs fixer may set, and values that one of them may list. */
  knobsMax: 32,
  knobValuesMax: 256,
  /** Settings that one pass of a knobs fixer may try; each costs runs of the bench. */
  knobTrialsMax: 256,
  /** Characters of a patch that is supplied inside a message; a larger one is supplied as a file. */
  suppliedPatchCharsMax: 262_144,
  /** Supplied candidates that one pass refuses before it ends: who supplies may be a program. */
  suppliesRefusedMax: 16,
  /** Open requests for a candidate that one answer names. */
  requestsMax: 16,
  /** Signs of gaming that one report names; more of them would say no more. */
  suspicionsMax: 32,
  /** Texts of one message that are named as speaking to their reader. */
  injectionSignsMax: 16,
  /** Rows of the journal that are looked at for how often an agent was named so. */
  injectionRowsMax: 100_000,
  /** An agent waits itself for a quota that is back so soon; a longer wait lets another quest run. */
  quotaHoldMs: 2_000,
  /** Commands that one transaction takes; more wait for the next. */
  batchCommandsMax: 256,
  /** Rows of the journal for which answers to commands are kept, for who asks again, and the least time. */
  answersKeptRows: 100_000,
  answersKeptMs: 60_000,
  /** Commands that may wait; beyond it the caller is told to come back. */
  queueCommandsMax: 10_000,
  /** Of these, commands of one sender: one that asks in a storm leaves room for the others. */
  queueOfSenderMax: 5_000,
  /** Quests that have not ended; all of them are in memory. */
  questsOpenMax: 1_000,
  /** Callers that wait for the answers of asks. */
  answersWaitingMax: 20_000,
  /** Requests of one client that wait for their answers. */
  requestsPendingMax: 10_000,
  /** Journal rows that one page of a read answers. */
  journalPageMax: 500,
  /** A segment of the journal's copy that has reached this is followed by another; a restore reads whole ones. */
  segmentBytesMax: 16_777_216,
  /** How often committed rows are carried to the segments: what is lost with the database's disk is younger. */
  archiveEveryMs: 250,
  /** A checkpoint is signed when this many rows came since the last one, or when some did and this time is over. */
  checkpointEveryRows: 10_000,
  checkpointEveryMs: 60_000,
  /** Checkpoints kept; the newest covers every row before it, older ones say since when a row is another. */
  checkpointsMax: 1_000,
  /** Bytes of a refused message that its dead letter keeps; a longer one cannot be retried. */
  deadLetterBytesMax: 65_536,
  /** Open dead letters of one sender; what it sends beyond them is counted, and the count recorded so often. */
  deadLettersMax: 100,
  deadCountEveryMs: 60_000,
  /** Refusals of one sender that are recorded one by one within `refusalsWindowMs`; those beyond are counted. */
  refusalsKeptMax: 100,
  refusalsWindowMs: 60_000,
  /** Refusals of the broker that one message tells. */
  refusalsToldMax: 64,
  /** Subscriptions of one connection to the broker: a client has three, and one for each quest that it watches. */
  subscriptionsMax: 1_024,
  /** Connections of one role: the broker takes 65,536, and no role may take them all. */
  connectionsOfRoleMax: 8_192,
  /** Asks that one claim takes, and one report answers. */
  asksClaimedMax: 64,
  /** Asks that are open at once; all of them are in memory. */
  asksOpenMax: 20_000,
  /** Characters of an ask's words, and of the JSON that goes with it or comes back from one phase. */
  askTextCharsMax: 16_384,
  askJsonCharsMax: 65_536,
  askDepthMax: 32,
  /** Characters of all asks that one claim takes together; a single one may have more, and still fits a message. */
  askGrantCharsMax: 262_144,
  /** Words, or events, that one role's definition names for being asked, and the characters of each. */
  keywordsMax: 64,
  keywordCharsMax: 80,
  /** An ask that nobody answered for this long ends: a day. */
  askLifeMs: 86_400_000,
  /** An answer that is less sure than this, in per cent, names a source, or is sent back as a clarification. */
  certaintyPercentMin: 95,
  sourcesMax: 16,
  sourceCharsMax: 400,
  /** How often the answers to one ask are sent back before it ends without one. */
  askReturnsMax: 2,
  /** Work of an agent that ends badly so often in a row, within this time, opens its breaker. */
  breakerFailuresMax: 3,
  breakerWindowMs: 600_000,
  /** How long it is offered nothing then: twice as long each time, up to the most. */
  breakerPauseMs: 5_000,
  breakerPauseMsMax: 300_000,
  /** Rows of the journal in which a start looks for breakers: one that opened before them is forgotten, and opens anew. */
  breakerRowsMax: 100_000,
  /** Characters of one message of a conversation; and files that an answer may name. */
  turnCharsMax: 16_384,
  turnFilesMax: 1_000,
  /** Turns of one conversation, usually and at most: after them its leader has to end it. */
  turnsDefault: 32,
  turnsMax: 200,
  /** How often in a row a leader may let its turn go by before the conversation ends. */
  turnsMissedMax: 3,
  /** Breaches of one agent in one turn that are recorded; those beyond are refused only. */
  turnBreachesMax: 16,
  /** Entries of one page of a conversation, and its characters; a longer entry comes alone. */
  turnsReadMax: 100,
  turnsReadCharsMax: 262_144,
  /** Characters of a memory: a few sentences, of which an assignment reads several. */
  memoryCharsMax: 600,
  memoryTagsMax: 8,
  memoryTagCharsMax: 120,
  /** Memories that one role, the operator or the orchestrator has in a project; one more, and the least useful is forgotten. */
  memoriesOfRoleMax: 200,
  /** Memories that a role keeps in one quest: it cannot push out with them what it learned in others. */
  memoriesOfQuestMax: 16,
  /** Memories that an assignment is given in a pass, and that one search finds. */
  memoriesGivenMax: 5,
  memoriesFoundMax: 20,
  /** Memories that count as given to a role in a pass, with those that it looked up. */
  memoriesOfPassMax: 64,
  /** Memories that are ranked for it, by their words. */
  memoriesRankedMax: 64,
  /** Words of a search: more of them find no more, and take longer. */
  memoryWordsMax: 32,
  /** Documents of the project that a quest brings along, and how much of them: about 3,000 tokens. */
  contextFilesMax: 8,
  contextBytesMax: 12_288,
  contextFileBytesMax: 6_144,
  reasonCharsMax: 2_000,
  /** How long an operator has to decide on an approval, unless the quest says otherwise. */
  approvalMs: 3_600_000,
  /** Approvals of one quest; who asks for more is refused. */
  approvalsOfQuestMax: 64,
  /** Restricted operations that one approval names. */
  operationsMax: 100,
  /** Paths that a report shows for them, and characters of one such file: a manifest that a person writes. */
  touchedMax: 2_000,
  touchedCharsMax: 65_536,
  /** Characters of what an agent says while it works, and how often it may under one lease: each is a row of the journal. */
  noteCharsMax: 400,
  notesOfLeaseMax: 256,
  /** Characters of the step that an agent is at. */
  stepCharsMax: 120,
  /** Characters of the place of a fault: a path, or a command. */
  placeCharsMax: 1_000,
} as const;
