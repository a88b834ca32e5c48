import { builtInDefinitions } from "@questbus/agent";
import { type Route, routeEvent, routeText, scoreText } from "@questbus/core";
import { QuestbusError, type Role, type Routing } from "@questbus/protocol";
import { note } from "./output.ts";

/** Whom a request is for, by the definitions of the agents. */

/** The role of a request, and why. @throws QuestbusError ROLE_UNCLEAR */
export function routeRequest(text: string, why = false): { role: Role; routing: Routing } {
  const route = routeText(text, builtInDefinitions());
  if (why) tellWhy(route);
  if ("fault" in route) throw new QuestbusError(route.fault);
  const { role, routing } = route;
  return { role, routing };
}

/** The roles that an event activates. @throws QuestbusError ROLE_UNCLEAR */
export function routeTrigger(event: string): { roles: Role[]; routing: Routing } {
  const route = routeEvent(event, builtInDefinitions());
  if ("fault" in route) throw new QuestbusError(route.fault);
  return route;
}

/** Each role with what spoke for it, the best first. */
function tellWhy(route: Route): void {
  if ("role" in route) note(`asks ${route.role}, by ${route.routing.by}:`);
  for (const score of route.scores) note(`  ${scoreText(score)}`);
}
