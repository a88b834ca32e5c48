/** What stands between the machine and the commands of a quest: the best first. `none`: nothing. */
export const sandboxLevels = ["bubblewrap", "namespaces", "none"] as const;
export type SandboxLevel = (typeof sandboxLevels)[number];

/** The commands of a quest that can be given the network. */
export const networkUsers = ["prepare", "tests", "measure", "fixers"] as const;
export type NetworkUser = (typeof networkUsers)[number];

/** `required`: nothing is run without one. `preferred`: as good a one as there is. `off`: none, also where there is one. */
export const sandboxPolicies = ["required", "preferred", "off"] as const;
export type SandboxPolicy = (typeof sandboxPolicies)[number];
