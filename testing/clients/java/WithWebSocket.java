// java.net.http's WebSocket client: text, binary, parts of messages, pings, close codes.

import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

class WithWebSocket {
    static final String TEXT = "Gezeitentor: ζ 水 🌊. ".repeat(500);
    static final HttpClient CLIENT = HttpClient.newHttpClient();
    static URI url;

    public static void main(String[] words) throws Exception {
        url = URI.create(words[0].replaceFirst("http", "ws") + "/ws");
        messagesComeBack();
        partsAreOneMessage();
        pingsAreAnswered();
        closeCodesComeBack();
        manyAtOnce();
        // The client's threads would keep the program for a while.
        System.exit(0);
    }

    static void messagesComeBack() throws Exception {
        var answers = new Answers();
        var socket = open(answers);
        for (var text : List.of("", "x", TEXT, TEXT.repeat(60))) {
            socket.sendText(text, true).join();
            same(text, answers.next());
        }
        for (var length : new int[] {0, 1, 125, 126, 65_535, 65_536, 1 << 20}) {
            socket.sendBinary(ByteBuffer.wrap(content(length)), true).join();
            same(ByteBuffer.wrap(content(length)), answers.next());
        }
        for (var count = 0; count < 200; count++) {
            socket.sendText(TEXT + count, true).join();
        }
        for (var count = 0; count < 200; count++) {
            same(TEXT + count, answers.next());
        }
        socket.abort();
    }

    static void partsAreOneMessage() throws Exception {
        var answers = new Answers();
        var socket = open(answers);
        for (var count = 0; count < 100; count++) {
            socket.sendText(TEXT, count == 99).join();
            if (count % 10 == 0) {
                socket.sendPing(ByteBuffer.wrap(content(count))).join();
            }
        }
        // Of pings that come together, a server may answer only the last (RFC 6455, 5.5.3).
        var last = new Pong(ByteBuffer.wrap(content(90)));
        var hasPong = false;
        var answer = answers.next();
        for (; answer instanceof Pong; answer = answers.next()) {
            hasPong |= answer.equals(last);
        }
        same(TEXT.repeat(100), answer);
        if (!hasPong) {
            same(last, answers.next());
        }
        socket.abort();
    }

    static void pingsAreAnswered() throws Exception {
        var answers = new Answers();
        var socket = open(answers);
        socket.sendPing(ByteBuffer.wrap(content(125))).join();
        same(new Pong(ByteBuffer.wrap(content(125))), answers.next());
        socket.sendPong(ByteBuffer.allocate(0)).join();
        socket.sendText("after", true).join();
        same("after", answers.next());
        socket.abort();
    }

    static void closeCodesComeBack() throws Exception {
        for (var code : new int[] {1000, 1001, 3000, 4000, 4999}) {
            var answers = new Answers();
            open(answers).sendClose(code, "own").join();
            same(code, answers.next());
        }
    }

    static void manyAtOnce() throws Exception {
        var all = new ArrayList<Answers>();
        var sockets = new ArrayList<WebSocket>();
        for (var count = 0; count < 100; count++) {
            all.add(new Answers());
            sockets.add(open(all.get(count)));
        }
        for (var count = 0; count < 100; count++) {
            sockets.get(count).sendText(TEXT + count, true).join();
        }
        for (var count = 0; count < 100; count++) {
            same(TEXT + count, all.get(count).next());
            sockets.get(count).sendClose(WebSocket.NORMAL_CLOSURE, "").join();
            same(WebSocket.NORMAL_CLOSURE, all.get(count).next());
        }
    }

    static WebSocket open(Answers answers) {
        return CLIENT.newWebSocketBuilder().buildAsync(url, answers).join();
    }

    static byte[] content(int length) {
        var bytes = new byte[length];
        for (var index = 0; index < length; index++) {
            bytes[index] = (byte) (index * 31 + index / 251);
        }
        return bytes;
    }

    static void same(Object expected, Object found) {
        if (!expected.equals(found)) {
            throw new AssertionError("expected " + brief(expected) + ", found " + brief(found));
        }
    }

    static String brief(Object value) {
        var text = String.valueOf(value);
        return text.substring(0, Math.min(text.length(), 200));
    }

    record Pong(ByteBuffer payload) {}

    /** What arrives, whole: text, bytes, the payload of a pong, the code of a close, or an error. */
    static class Answers implements WebSocket.Listener {
        private final BlockingQueue<Object> arrived = new LinkedBlockingQueue<>();
        private final StringBuilder text = new StringBuilder();
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

        Object next() throws InterruptedException {
            return arrived.poll(20, TimeUnit.SECONDS);
        }

        @Override
        public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean isLast) {
            text.append(part);
            if (isLast) {
                arrived.add(text.toString());
                text.setLength(0);
            }
            socket.request(1);
            return null;
        }

        @Override
        public CompletionStage<?> onBinary(WebSocket socket, ByteBuffer part, boolean isLast) {
            while (part.hasRemaining()) {
                bytes.write(part.get());
            }
            if (isLast) {
                arrived.add(ByteBuffer.wrap(bytes.toByteArray()));
                bytes.reset();
            }
            socket.request(1);
            return null;
        }

        @Override
        public CompletionStage<?> onPong(WebSocket socket, ByteBuffer payload) {
            var copy = new byte[payload.remaining()];
            payload.get(copy);
            arrived.add(new Pong(ByteBuffer.wrap(copy)));
            socket.request(1);
            return null;
        }

        @Override
        public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
            arrived.add(code);
            return null;
        }

        @Override
        public void onError(WebSocket socket, Throwable error) {
            arrived.add(error);
        }
    }
}
