import { approvalId, limit } from "@questbus/protocol";
import { type Command, InvalidArgumentError } from "commander";
import { commonOf, type Ended, valid, withCommon } from "./option.ts";

function someReason(text: string): string {
  const reason = text.trim();
  if (reason !== "" && reason.length <= limit.reasonCharsMax) return reason;
  throw new InvalidArgumentError(`write 1 to ${limit.reasonCharsMax} characters`);
}

/** `approvals list|show|grant|deny`: what agents may not do without an operator's word. */
export function addApprovals(program: Command, signal: AbortSignal, ended: Ended): void {
  const approvals = program
    .command("approvals")
    .description("restricted operations that wait for an operator's word");
  const list = approvals.command("list").description("list the open ones, oldest first");
  withCommon(list)
    .option("--all", "also those that were decided", false)
    .action(async ({ all }: { all: boolean }) => {
      const { listApprovals } = await import("./command-approval.ts");
      ended(listApprovals(all, commonOf(list, signal)));
    });
  const one = (name: string, description: string): Command =>
    withCommon(approvals.command(name).description(description)).argument(
      "<approval>",
      "its id",
      valid(approvalId),
    );
  const show = one("show", "show who asks for what, why, and the diff").action(async (approval: string) => {
    const { showApproval } = await import("./command-approval.ts");
    ended(await showApproval(approval, commonOf(show, signal)));
  });
  const grant = one("grant", "let it take effect, exactly as it is shown")
    .option("--reason <text>", "why; it is recorded", someReason)
    .action(async (approval: string, { reason }: { reason?: string }) => {
      const { grantApproval } = await import("./command-approval.ts");
      ended(await grantApproval(approval, reason, commonOf(grant, signal)));
    });
  const deny = one("deny", "refuse it; the next pass is told why")
    .requiredOption("--reason <text>", "why; it is recorded", someReason)
    .action(async (approval: string, { reason }: { reason: string }) => {
      const { denyApproval } = await import("./command-approval.ts");
      ended(await denyApproval(approval, reason, commonOf(deny, signal)));
    });
}
