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
// URLs are relative to the page's. What is sent while there is no connection waits for it. What was sent
// just before a connection broke may be lost: a protocol on top has to see to that.
(() => {
  "use strict";

  /** An event with what there is to say about it. */
  const told = (name, more) => Object.assign(new Event(name), more);

  class TidegateWebSocket extends EventTarget {
    #url; #protocols; #options; #socket; #timer; #queue = []; #failures = 0; #opened = 0; #isClosed = false;

    /**
     * @param {string|URL} url
     * @param {object} [options]
     * @param {string|string[]} [options.protocols] sub-protocols to offer
     * @param {number} [options.delayMin] shortest wait before connecting again, in milliseconds
     * @param {number} [options.delayMax] longest
     * @param {number} [options.queueMax] most messages that wait for a connection
     * @param {"blob"|"arraybuffer"} [options.binaryType]
     */
    constructor(url, options = {}) {
      super();
      this.#url = new URL(url, globalThis.document?.baseURI);
      this.#url.protocol = this.#url.protocol.replace("http", "ws");
      const { protocols = [], ...others } = options;
      this.#protocols = protocols;
      this.#options = { delayMin: 500, delayMax: 30000, queueMax: 1000, binaryType: "arraybuffer", ...others };
      globalThis.addEventListener?.("online", this.#reconnect);
      this.#connect();
    }

    /** Where it connects to. */
    get url() { return this.#url.href; }
    /** Whether there is a connection now. */
    get isOpen() { return this.#socket?.readyState === WebSocket.OPEN; }
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
      const socket = new WebSocket(this.#url, this.#protocols);
      this.#socket = socket;
      socket.binaryType = this.#options.binaryType;
      socket.onopen = () => {
        this.#opened = performance.now();
        this.dispatchEvent(told("open"));
        // What listeners have sent is out; now what waited, as long as the connection lasts.
        while (this.#queue.length && this.isOpen) socket.send(this.#queue.shift());
      };
      socket.onmessage = ({ data }) => this.dispatchEvent(told("message", { data }));
      socket.onclose = ({ code, reason, wasClean }) => {
        // One that lasted was not in vain.
        const lasted = this.#opened && performance.now() - this.#opened > STEADY_MS;
        this.#failures = lasted ? 0 : this.#failures + 1;
        this.#opened = 0;
        const delay = this.#isClosed ? undefined : this.#delay();
        if (delay !== undefined) this.#timer = setTimeout(this.#reconnect, delay);
        this.dispatchEvent(told("close", { code, reason, wasClean, delay }));
      };
    }

    #reconnect = () => {
      clearTimeout(this.#timer);
      if (!this.#isClosed && this.#socket.readyState === WebSocket.CLOSED) this.#connect();
    };

    /** Longer with each failure, and by chance, so that not all clients come back at the same time. */
    #delay() {
      const { delayMin, delayMax } = this.#options;
      const longest = Math.min(delayMax, delayMin * 2 ** this.#failures);
      return delayMin + Math.random() * (longest - delayMin);
    }
  }

  /** A connection that lasts so long is not one of those that fail at once. */
  const STEADY_MS = 5000;

  globalThis.TidegateWebSocket = TidegateWebSocket;
})();
