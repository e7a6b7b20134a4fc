// Tidegate: the channel protocol. Needs websocket.js before it.
//
//   <script src="tidegate/websocket.js"></script>
//   <script src="tidegate/tidegate.channels.js"></script>     or, in a module, import both in this order
//
//   const channels = new TidegateChannels("ws");
//   await channels.subscribe("news", (message, { channel, id, level }) => console.log(message));
//   await channels.publish("news", { any: "JSON" });               // level 0: sent, and that is all
//   await channels.publish("news", "surely", { level: 1 });        // 1: at least once, 2: exactly once
//   const sum = await channels.call("add", [1, 2]);                // fails with { code, message, data }
//   channels.on("ask", params => "what the server gets for an answer");
//   channels.close();
//
// When the connection breaks it is made again, subscriptions with it, and publishes of level 1 and 2 that
// have no answer yet are sent again; calls fail. Messages that came before are not told twice.
(() => {
  "use strict";

  class TidegateChannels extends EventTarget {
    #socket; #timeout; #asked = new Map(); #channels = new Map(); #methods = new Map(); #lastId = 0;
    /** Level 2 messages that the server has not released. */
    #unreleased = new Set();
    #session = Array.from(crypto.getRandomValues(new Uint32Array(4)), part => part.toString(36)).join("");

    /**
     * @param {string|URL} url
     * @param {object} [options] those of TidegateWebSocket, and:
     * @param {string} [options.protocol] the name in Sec-WebSocket-Protocol
     * @param {number} [options.timeout] longest wait for an answer, in milliseconds
     */
    constructor(url, { protocol = "tidegate.channels", timeout = 30000, ...options } = {}) {
      super();
      this.#timeout = timeout;
      this.#socket = new TidegateWebSocket(url, { ...options, protocols: protocol });
      this.#socket.addEventListener("open", () => this.#opened());
      this.#socket.addEventListener("message", event => this.#received(event.data));
      this.#socket.addEventListener("close", event => this.#closed(event));
    }

    /** Whether there is a connection now. "open" and "close" are told as events. */
    get isOpen() { return this.#socket.isOpen; }

    /** Has `listener` called with each message of a channel, or of all that match a mask. */
    async subscribe(channel, listener) {
      const known = this.#channels.get(channel);
      if (known) {
        known.listeners.add(listener);
        return known.done;
      }
      const entry = { listeners: new Set([listener]), matches: matcher(channel), last: new Map() };
      this.#channels.set(channel, entry);
      entry.done = this.#ask("subscribe", { channel }, true);
      return entry.done.catch(error => {
        if (this.#channels.get(channel) === entry) this.#channels.delete(channel);
        throw error;
      });
    }

    /** Has `listener`, or without one nobody, called any more. */
    async unsubscribe(channel, listener) {
      const known = this.#channels.get(channel);
      if (!known) return false;
      known.listeners.delete(listener);
      if (listener && known.listeners.size) return true;
      this.#channels.delete(channel);
      return this.#ask("unsubscribe", { channel });
    }

    /** Publishes. Gives the message's number, at level 0 nothing. */
    async publish(channel, message, { level = 0 } = {}) {
      if (level === 0) {
        if (!this.#send({ method: "publish", params: { channel, message } })) throw new Error(TOO_MUCH);
        return undefined;
      }
      if (level === 1) return this.#ask("publish", { channel, message, level }, true);
      const id = `${this.#session}-${++this.#lastId}`;
      const number = await this.#ask("publish", { channel, message, level, id }, true);
      await this.#ask("release", { id }, true);
      return number;
    }

    /** Calls a method of the server's. */
    call(method, params) { return this.#ask(method, params); }

    /** Has `method` called by the server answered by `handler`; without one, no more. */
    on(method, handler) {
      if (handler) this.#methods.set(method, handler);
      else this.#methods.delete(method);
    }

    /** Closes for good. */
    close() { this.#socket.close(); }

    #send(body) { return this.#socket.send(JSON.stringify({ jsonrpc: "2.0", ...body })); }

    /** Asks, now or on the next connection, and if `again` on each until there is an answer. */
    #ask(method, params, again = false) {
      return new Promise((resolve, reject) => {
        const id = ++this.#lastId;
        const done = act => value => {
          clearTimeout(timer);
          this.#asked.delete(id);
          act(value);
        };
        const fail = done(reject);
        // What is asked again is not given up.
        const timer = again ? undefined : setTimeout(() => fail(new Error(`${method}: no answer`)), this.#timeout);
        const asked = { body: { id, method, params }, again, wasSent: false, resolve: done(resolve), reject: fail };
        this.#asked.set(id, asked);
        if (this.isOpen) this.#sendAsked(asked);
      });
    }

    #sendAsked(asked) {
      asked.wasSent = true;
      this.#send(asked.body);
    }

    #opened() {
      const waiting = [...this.#asked.values()];
      const asked = waiting.filter(({ body }) => body.method === "subscribe").map(({ body }) => body.params.channel);
      for (const channel of this.#channels.keys()) {
        if (!asked.includes(channel)) this.#subscribeAgain(channel);
      }
      for (const asked of waiting) this.#sendAsked(asked);
      this.dispatchEvent(new Event("open"));
    }

    #subscribeAgain(channel) {
      this.#ask("subscribe", { channel }).catch(error => {
        if (error.code === BUSY) setTimeout(() => this.#channels.has(channel) && this.#subscribeAgain(channel), 1000);
        // The server does not allow it any more. When the connection breaks instead, the next one asks.
        else if (error.code) this.#channels.delete(channel);
      });
    }

    #closed({ code, reason, delay }) {
      this.#unreleased.clear();
      for (const { again, wasSent, reject } of [...this.#asked.values()]) {
        // With no connection to come there is no answer either.
        if (delay === undefined || wasSent && !again) reject(new Error(`the connection has ended: ${code} ${reason}`));
      }
      this.dispatchEvent(Object.assign(new Event("close"), { code, reason, delay }));
    }

    #received(text) {
      const message = JSON.parse(text);
      for (const item of Array.isArray(message) ? message : [message]) this.#take(item);
    }

    #take({ id, method, params, result, error }) {
      if (method === "message") return this.#deliver(id, params);
      if (method === "release") this.#unreleased.delete(params.id);
      else if (method !== undefined) return this.#answer(id, method, params);
      else {
        const asked = this.#asked.get(id);
        if (error) asked?.reject(Object.assign(new Error(error.message), { code: error.code, data: error.data }));
        else asked?.resolve(result);
        return undefined;
      }
      return this.#send({ id, result: true });
    }

    #deliver(id, { channel, message, level = 0, id: number }) {
      const isNew = level < 2 || !this.#unreleased.has(number);
      if (level === 2) this.#unreleased.add(number);
      // Its listeners have it before the server hears that it has arrived.
      if (isNew) {
        for (const { listeners, matches, last } of this.#channels.values()) {
          // Numbers grow: what is kept by the server comes again with each connection, and was here.
          if (!matches(channel) || number <= (last.get(channel) ?? 0)) continue;
          last.set(channel, number);
          for (const listener of [...listeners]) guarded(() => listener(message, { channel, id: number, level }));
        }
      }
      if (id !== undefined) this.#send({ id, result: true });
    }

    async #answer(id, method, params) {
      const handler = this.#methods.get(method);
      const failed = (code, text) => ({ error: { code, message: text } });
      let outcome = failed(-32601, "method not found");
      if (handler) {
        try { outcome = { result: await handler(params) ?? null }; } catch (error) { outcome = failed(-32603, String(error?.message ?? error)); }
      }
      if (id !== undefined) this.#send({ id, ...outcome });
    }
  }

  /** One listener that fails does not keep others from listening. */
  function guarded(call) {
    try { call(); } catch (error) { setTimeout(() => { throw error; }); }
  }

  /** What tells whether a channel is this one, or matches this mask. */
  function matcher(mask) {
    if (!/[*?]/.test(mask)) return channel => channel === mask;
    const pattern = mask.replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*+/g, ".*").replace(/\?/g, ".");
    const whole = new RegExp(`^${pattern}$`, "su");
    return channel => channel === mask || whole.test(channel);
  }

  /** What the server says when it may be asked again. */
  const BUSY = -32000;
  const TOO_MUCH = "too much waits for a connection";

  globalThis.TidegateChannels = TidegateChannels;
})();
