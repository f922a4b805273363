import { type Event, EXPORT_MEDIA_TYPE } from "../contract/events.ts";
import type { Caller } from "./call.ts";
import type { Page } from "./pages.ts";
import type { Sink } from "./transport.ts";

/** Which entries of the audit log to list; `from` and `to` are dates in the billing time zone, both included. */
interface EventsQuery {
  readonly limit?: number;
  readonly after?: string;
  readonly from?: string;
  readonly to?: string;
  readonly type?: string;
  readonly order?: "oldest" | "newest";
}

/** The calls about the audit log. Every method throws `ClientError`. */
export interface EventCalls {
  events(organizationId: number, query: EventsQuery): Promise<Page<Event, string>>;
  /** Reads the whole log, of any size. After a failure the sink is started again. Throws what the sink throws, too. */
  exportEvents(organizationId: number, sink: Omit<Sink, "mediaType">): Promise<void>;
}

/** The calls of `EventCalls` at one backend. */
export function eventCalls(caller: Caller): EventCalls {
  const repeat = "transient";
  return {
    events: async (organizationId, query) =>
      (await caller.call("listEvents", { params: { organizationId }, query: { ...query }, repeat })).value,
    exportEvents: async (organizationId, sink) => {
      const failures: unknown[] = [];
      // An error in the middle of reading would look like a lost connection.
      const orFailure = (work: () => void) => {
        try {
          if (failures.length === 0) work();
        } catch (error) {
          failures.push(error);
        }
      };
      const whole: Sink = {
        mediaType: EXPORT_MEDIA_TYPE,
        start: () => orFailure(() => sink.start()),
        write: (chunk) => orFailure(() => sink.write(chunk)),
      };
      await caller.call("exportEvents", { params: { organizationId }, sink: whole, repeat });
      if (failures.length > 0) throw failures[0];
    },
  };
}
