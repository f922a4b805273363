import { connect } from "node:net";

/** An answer read from a connection. */
export interface RawAnswer {
  readonly status: number;
  /** By name in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * Sends bytes and reads until the other side closes.
 *
 * @param end whether to close the sending side after them
 */
export function sendRaw(port: number, bytes: string | Buffer, { end = false } = {}): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const received: Buffer[] = [];
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    socket.on("data", (data) => received.push(data));
    socket.on("error", reject);
    socket.on("end", () => socket.end());
    socket.on("close", () => resolve(Buffer.concat(received)));
    socket.write(bytes);
    if (end) socket.end();
  });
}

/**
 * Reads answers whose bodies are framed by `Content-Length`.
 *
 * @param isHead whether the requests were `HEAD`, so that the answers have no body
 * @throws TypeError for other bytes
 */
export function readAnswers(bytes: Buffer, isHead = false): RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let rest = bytes; rest.length > 0; ) {
    const end = rest.indexOf("\r\n\r\n");
    const [line = "", ...fields] = rest.subarray(0, end).toString("latin1").split("\r\n");
    const status = /^HTTP\/1\.1 (\d{3}) \S/.exec(line)?.[1];
    if (end === -1 || status === undefined) throw new TypeError(`Not an answer: ${rest.toString("latin1")}`);
    const headers = Object.fromEntries(
      fields.map((field) => [
        field.slice(0, field.indexOf(":")).toLowerCase(),
        field.slice(field.indexOf(":") + 1).trim(),
      ]),
    );
    const hasBody = !isHead && status !== "204" && status !== "100";
    if (hasBody && headers["content-length"] === undefined) throw new TypeError(`Not framed: ${line}`);
    const length = hasBody ? Number(headers["content-length"]) : 0;
    const body = rest.subarray(end + 4, end + 4 + length);
    if (body.length !== length) throw new TypeError(`Cut: ${line}`);
    if (status !== "100") answers.push({ status: Number(status), headers, body: body.toString() });
    rest = rest.subarray(end + 4 + length);
  }
  return answers;
}
