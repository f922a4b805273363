import type Libsql from "libsql";
import type { Notification, Notifier } from "../deps.ts";

/** Where the sandbox's notifications go: a table outside the backend's own store, each id once however often it is sent. */
export function mailbox(database: Libsql.Database): Notifier & { delivered(): Notification[] } {
  database.exec("create table if not exists mailbox (id text primary key, notification text not null)");
  return {
    async deliver(notification) {
      database
        .prepare("insert into mailbox (id, notification) values (?, ?) on conflict (id) do nothing")
        .run(notification.id, JSON.stringify(notification));
    },
    delivered() {
      const rows = database.prepare("select notification from mailbox order by rowid").all() as {
        notification: string;
      }[];
      return rows.map((row) => JSON.parse(row.notification) as Notification);
    },
  };
}
