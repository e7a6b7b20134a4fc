// Tidegate: a WebSocket that connects again by itself.
//
//   <script src="tidegate/websocket.js"></script>        or, in a module:
//   import "./tidegate/websocket.js";
//
//   const socket = new TidegateWebSocket("ws");
//   socket.addEventListener("open", () => console.log("connected"));
//   socket.addEventListener("message", event => console.log(event.data));
//   socket.addEventListener("close", event => console.log(event.code, event.reason, event.delay));
//   socket.send("text, or binary data");
//   socket.close();
//
// Where a WebSocket cannot be opened, because a proxy on the way lets none pass, it connects over server-sent events
// instead, if the server does, and goes on so for as long as the page is there. URLs are relative to the page's. What is sent while there is no connection waits for it. What was sent
// just before a connection broke may be lost: a protocol on top has to see to that.
(() => {
  "use strict";

  /** An event with what there is to say about it. */
  const told = (name, more) => Object.assign(new Event(name), more);

  class TidegateWebSocket extends EventTarget {
    #url; #protocols; #options; #socket; #timer; #queue = []; #failures = 0; #opened = 0; #isClosed = false;
    #isBarred = false;

    /**
     * @param {string|URL} url
     * @param {object} [options]
     * @param {string|string[]} [options.protocols] sub-protocols to offer
     * @param {number} [options.delayMin] shortest wait before connecting again, in milliseconds
     * @param {number} [options.delayMax] longest
     * @param {number} [options.queueMax] most messages that wait for a connection
     * @param {"blob"|"arraybuffer"} [options.binaryType]
     * @param {boolean} [options.fallback] whether it may connect over server-sent events
     * @param {number} [options.openMax] longest wait for a WebSocket before that, in milliseconds
     * @param {boolean} [options.withCredentials] whether server-sent events of other origins bring cookies along
     */
    constructor(url, options = {}) {
      super();
      this.#url = new URL(url, globalThis.document?.baseURI);
      this.#url.protocol = this.#url.protocol.replace("http", "ws");
      const { protocols = [], ...others } = options;
      this.#protocols = protocols;
      this.#options = {
        delayMin: 500, delayMax: 30000, queueMax: 1000, binaryType: "arraybuffer",
        fallback: true, openMax: 10000, withCredentials: false, ...others,
      };
      globalThis.addEventListener?.("online", this.#reconnect);
      this.#connect();
    }

    /** Where it connects to. */
    get url() { return this.#url.href; }
    /** Whether there is a connection now. */
    get isOpen() { return this.#socket?.readyState === OPEN; }
    /** What carries the connection: "websocket" or "sse". */
    get transport() { return this.#socket instanceof EventSocket ? "sse" : "websocket"; }
    /** The sub-protocol agreed upon. */
    get protocol() { return this.#socket?.protocol ?? ""; }
    /** The extensions agreed upon. */
    get extensions() { return this.#socket?.extensions ?? ""; }
    /** Bytes and messages that have yet to go out. */
    get waiting() { return { bytes: this.#socket?.bufferedAmount ?? 0, messages: this.#queue.length }; }

    /** Sends now, or when there is a connection. False: too many messages wait for that, or it is closed. */
    send(data) {
      if (this.isOpen) {
        this.#socket.send(data);
        return true;
      }
      if (this.#isClosed || this.#queue.length >= this.#options.queueMax) return false;
      this.#queue.push(data);
      return true;
    }

    /** Closes for good. */
    close(code = 1000, reason = "") {
      this.#isClosed = true;
      this.#queue = [];
      clearTimeout(this.#timer);
      globalThis.removeEventListener?.("online", this.#reconnect);
      this.#socket?.close(code, reason);
    }

    #connect() {
      const socket = this.#carrier();
      this.#socket = socket;
      socket.binaryType = this.#options.binaryType;
      const isWebSocket = !(socket instanceof EventSocket);
      // One to which nobody answers would be waited for very long.
      const patience = isWebSocket && this.#mayFallBack && setTimeout(() => socket.close(), this.#options.openMax);
      socket.onopen = () => {
        clearTimeout(patience);
        if (!isWebSocket) barred.add(this.#url.host);
        this.#isBarred = false;
        this.#opened = performance.now();
        this.dispatchEvent(told("open"));
        // What listeners have sent is out; now what waited, as long as the connection lasts.
        while (this.#queue.length && this.isOpen) socket.send(this.#queue.shift());
      };
      socket.onmessage = ({ data }) => this.dispatchEvent(told("message", { data }));
      socket.onclose = ({ code, reason, wasClean }) => {
        clearTimeout(patience);
        if (isWebSocket && !this.#opened && !this.#isClosed && this.#mayFallBack) {
          // Once; if that fails as well, it is the server that is not there.
          this.#isBarred = true;
          return this.#connect();
        }
        this.#isBarred = false;
        // One that lasted was not in vain.
        const lasted = this.#opened && performance.now() - this.#opened > STEADY_MS;
        this.#failures = lasted ? 0 : this.#failures + 1;
        this.#opened = 0;
        const delay = this.#isClosed ? undefined : this.#delay();
        if (delay !== undefined) this.#timer = setTimeout(this.#reconnect, delay);
        this.dispatchEvent(told("close", { code, reason, wasClean, delay }));
      };
    }

    get #mayFallBack() { return this.#options.fallback && globalThis.EventSource !== undefined; }

    /** A WebSocket, or what stands in for one. */
    #carrier() {
      const events = () => new EventSocket(this.#url, this.#protocols, this.#options.withCredentials);
      if (this.#mayFallBack && (this.#isBarred || barred.has(this.#url.host))) return events();
      try {
        return new WebSocket(this.#url, this.#protocols);
      } catch (error) {
        // What is wrong with the arguments is the caller's to know.
        if (!this.#mayFallBack || error instanceof DOMException) throw error;
        return events();
      }
    }

    #reconnect = () => {
      clearTimeout(this.#timer);
      if (!this.#isClosed && this.#socket.readyState === CLOSED) this.#connect();
    };

    /** Longer with each failure, and by chance, so that not all clients come back at the same time. */
    #delay() {
      const { delayMin, delayMax } = this.#options;
      const longest = Math.min(delayMax, delayMin * 2 ** this.#failures);
      return delayMin + Math.random() * (longest - delayMin);
    }
  }

  /**
   * What stands in for a WebSocket where none can be opened: what the server says comes as events, what is said to it
   * goes as requests, one after the other.
   */
  class EventSocket {
    binaryType = "blob"; readyState = CONNECTING; protocol = ""; extensions = ""; bufferedAmount = 0;
    onopen = null; onmessage = null; onclose = null;
    #url; #source; #session; #queue = []; #number = 1; #isSending = false; #closed;

    constructor(url, protocols, withCredentials) {
      this.#url = new URL(url);
      this.#url.protocol = this.#url.protocol.replace("ws", "http");
      const offers = [protocols].flat().map((name) => `&tidegate-protocol=${encodeURIComponent(name)}`);
      const query = `${this.#url.search ? `${this.#url.search}&` : "?"}tidegate-transport=sse`;
      this.#url.search = query + offers.join("");
      const source = new EventSource(this.#url.href, { withCredentials });
      this.#url.search = query;
      this.#source = source;
      this.withCredentials = withCredentials;
      const on = (name, act) => source.addEventListener(name, (event) => {
        // What a stream still has that was left is for nobody.
        if (this.#source === source && this.readyState !== CLOSED) act(event.data);
      });
      on("error", () => this.#end(1006, "", false));
      on("open", (data) => {
        // A source tells by the same name that there is a stream.
        if (data === undefined) return;
        const { session, protocol } = JSON.parse(data);
        this.#session = session;
        this.protocol = protocol ?? "";
        this.readyState = OPEN;
        this.onopen?.();
      });
      on("text", (data) => this.#tell(JSON.parse(data)));
      on("binary", (data) => {
        const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
        this.#tell(this.binaryType === "blob" ? new Blob([bytes]) : bytes.buffer);
      });
      on("ping", (data) => this.readyState === OPEN && this.#say({ pong: data }));
      on("close", (data) => {
        const { code, reason } = JSON.parse(data);
        this.#end(code, reason, true);
      });
    }

    send(data) {
      if (this.readyState === CONNECTING) throw new DOMException("There is no connection yet", "InvalidStateError");
      if (this.readyState !== OPEN) return;
      if (data instanceof Blob) return this.#say(data.arrayBuffer().then(binary), data.size);
      // What is no text is bytes; of text, halves of characters become U+FFFD, as a WebSocket has it.
      if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) this.#say(binary(data), data.byteLength);
      else this.#say({ text: new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(data)) });
    }

    close(code, reason) {
      if (this.readyState >= CLOSING) return;
      if (this.readyState === CONNECTING) {
        this.readyState = CLOSING;
        setTimeout(() => this.#end(1006, "", false));
        return;
      }
      this.#say({ close: code === undefined ? {} : { code, reason } });
      this.readyState = CLOSING;
      this.#closed = { code: code ?? 1005, reason: reason ?? "" };
      setTimeout(() => this.#end(1006, "", false), CLOSE_MS);
    }

    #tell(data) {
      if (this.readyState === OPEN) this.onmessage?.({ data });
    }

    #say(message, size = message.text?.length ?? 0) {
      this.bufferedAmount += size;
      this.#queue.push({ message, size });
      if (!this.#isSending) this.#send();
    }

    /** Sends what waits, as much at a time as is good. */
    async #send() {
      this.#isSending = true;
      while (this.#queue.length && this.readyState !== CLOSED) {
        const said = [];
        let sizes = 0;
        do {
          const { message, size } = this.#queue.shift();
          // A blob that cannot be read is as much as a connection that broke.
          said.push(await Promise.resolve(message).catch(() => this.#end(1006, "", false)));
          sizes += size;
        } while (this.#queue.length && sizes < BATCH_MAX && said.length < BATCH_MESSAGES_MAX);
        if (this.readyState === CLOSED) break;
        const status = await this.#post(JSON.stringify(said));
        this.bufferedAmount -= sizes;
        if (status === 204) continue;
        // Of a connection that has ended the stream may still say why.
        if (status === 404 || status === 410) await new Promise((resolve) => setTimeout(resolve, TRY_MS));
        this.#end(status === 413 ? 1009 : 1006, "", false);
      }
      this.#isSending = false;
    }

    /** Sends a request until it is answered: what comes again is not taken twice. */
    async #post(body) {
      const headers = {
        "Content-Type": "application/json", "Tidegate-Session": this.#session, "Tidegate-Number": `${this.#number}`,
      };
      const credentials = this.withCredentials ? "include" : "same-origin";
      for (let tries = 1; ; tries += 1) {
        const answer = await fetch(this.#url.href, { method: "POST", headers, body, credentials, cache: "no-store" })
          .catch(() => ({ status: 0 }));
        if (answer.status === 204) this.#number += 1;
        const isLost = answer.status === 0 || answer.status === 429 || answer.status >= 500;
        if (!isLost || tries === TRIES || this.readyState === CLOSED) return answer.status;
        await new Promise((resolve) => setTimeout(resolve, TRY_MS * tries));
      }
    }

    #end(code, reason, wasClean) {
      if (this.readyState === CLOSED) return;
      this.readyState = CLOSED;
      this.#source.close();
      this.#queue = [];
      // Who has closed is told what was said, as by a WebSocket.
      const end = (wasClean && this.#closed) || { code, reason };
      this.onclose?.({ ...end, wasClean });
    }
  }

  /** A binary message on the wire. */
  function binary(data) {
    const bytes = ArrayBuffer.isView(data)
      ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      : new Uint8Array(data);
    let text = "";
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return { binary: btoa(text) };
  }

  const [CONNECTING, OPEN, CLOSING, CLOSED] = [0, 1, 2, 3];

  /** Hosts to which no WebSocket can be opened from this page. */
  const barred = new Set();

  /** Characters and bytes of messages in one request, unless one message has more; and messages. */
  const BATCH_MAX = 32768;
  const BATCH_MESSAGES_MAX = 1000;

  /** How often a request is sent, and how long between, the first time. */
  const TRIES = 4;
  const TRY_MS = 500;

  /** How long the server may take to answer a close. */
  const CLOSE_MS = 5000;

  /** A connection that lasts so long is not one of those that fail at once. */
  const STEADY_MS = 5000;

  globalThis.TidegateWebSocket = TidegateWebSocket;
})();
