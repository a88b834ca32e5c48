import type { Actor } from "@questbus/protocol";
import type { Sql } from "./sql.ts";

/** The stored answer to a command. `actor` is `role/name` of who sent it: another sender's id is not answered. */
export type StoredAnswer = { actor: string; answer: unknown; seq: number };

export type Answers = {
  rememberAnswer(commandId: string, actor: Actor, answer: unknown, seq: number): void;
  answerOf(commandId: string): StoredAnswer | null;
  /** Answers to commands that came after row `seq`, in their order. */
  answersAfter(seq: number): { id: string; actor: Actor; answer: unknown; seq: number }[];
  /** Forgets answers to commands that came before row `seq`, at most `limit` of them. */
  forgetAnswers(beforeSeq: number, limit: number): void;
};

export const actorText = (actor: Actor): string => `${actor.role}/${actor.name}`;

function actorIn(text: string): Actor {
  const [role = "", name = ""] = text.split("/");
  return { role: role as Actor["role"], name };
}

export function answersOn(sql: Sql): Answers {
  return {
    rememberAnswer: (id, actor, answer, seq) =>
      sql.run("INSERT INTO command (id, actor, answer, seq) VALUES (@id, @actor, @answer, @seq)", {
        id,
        actor: actorText(actor),
        answer: JSON.stringify(answer),
        seq,
      }),
    answerOf(id) {
      const row = sql.get<{ actor: string; answer: string; seq: number }>(
        "SELECT actor, answer, seq FROM command WHERE id = @id",
        { id },
      );
      return row && { ...row, answer: JSON.parse(row.answer) };
    },
    answersAfter: (seq) =>
      sql
        .all<{ id: string; actor: string; answer: string; seq: number }>(
          "SELECT id, actor, answer, seq FROM command WHERE seq > @seq ORDER BY seq, id",
          { seq },
        )
        .map((row) => ({ ...row, actor: actorIn(row.actor), answer: JSON.parse(row.answer) })),
    forgetAnswers: (beforeSeq, limit) =>
      sql.run(
        "DELETE FROM command WHERE rowid IN (SELECT rowid FROM command WHERE seq < @beforeSeq ORDER BY seq LIMIT @limit)",
        { beforeSeq, limit },
      ),
  };
}
