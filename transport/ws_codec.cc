#include "transport/ws_codec.h"

#include <algorithm>
#include <utility>
#include <wslay/wslay.h>

namespace joinery::transport {

namespace {

Errc errc_of(std::uint16_t code) noexcept {
    return code == WSLAY_CODE_MESSAGE_TOO_BIG ? Errc::over_limit : Errc::malformed;
}

}  // namespace

struct WsCodec::State {
    State(Side side, Random& mask_source) : random(mask_source) {
        wslay_event_callbacks callbacks{};
        callbacks.recv_callback = [](auto* ctx, auto* to, auto size, int, void* it) {
            return of(it).give(ctx, to, size);
        };
        callbacks.send_callback = [](auto*, const auto* data, auto size, int, void* it) {
            of(it).out.insert(of(it).out.end(), data, data + size);
            return static_cast<ssize_t>(size);
        };
        callbacks.genmask_callback = [](auto*, auto* to, auto size, void* it) {
            of(it).random.fill(std::span(to, size));
            return 0;
        };
        callbacks.on_frame_recv_start_callback = [](auto*, const auto* frame, void* it) {
            of(it).begin_frame(*frame);
        };
        callbacks.on_frame_recv_chunk_callback = [](auto*, const auto* chunk, void* it) {
            of(it).take_chunk(ByteView(chunk->data, chunk->data_length));
        };
        callbacks.on_frame_recv_end_callback = [](auto*, void* it) { of(it).end_frame(); };
        const int failed = side == Side::listener
                               ? wslay_event_context_server_init(&context, &callbacks, this)
                               : wslay_event_context_client_init(&context, &callbacks, this);
        if (failed != 0) throw std::bad_alloc();  // Its only reason.
        // It would reserve what a frame announces.
        wslay_event_config_set_no_buffering(context, 1);
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { wslay_event_context_free(context); }

    static State& of(void* it) { return *static_cast<State*>(it); }

    ssize_t give(wslay_event_context_ptr ctx, std::uint8_t* to, std::size_t size) {
        const std::size_t count = error ? 0 : std::min(size, in.size());
        if (count == 0) {
            wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
            return -1;
        }
        std::copy_n(in.begin(), count, to);
        in = in.subspan(count);
        return static_cast<ssize_t>(count);
    }
    void begin_frame(const wslay_event_on_frame_recv_start_arg& frame) {
        is_data = !wslay_is_ctrl_frame(frame.opcode);
        is_last = frame.fin != 0;
        if (!is_data || error) return;
        if (frame.opcode == WSLAY_TEXT_FRAME) {
            fail_as(fail(Errc::unsupported, "a text message; binary ones are wanted"),
                    WSLAY_CODE_UNSUPPORTED_DATA);
        } else if (frame.payload_length > size_max - std::min(size_max, message.size())) {
            fail_as(fail(Errc::over_limit,
                         "the other side announced a message longer than is taken from it"),
                    WSLAY_CODE_MESSAGE_TOO_BIG);
        }
    }
    void take_chunk(ByteView bytes) {
        if (is_data && !error) message.insert(message.end(), bytes.begin(), bytes.end());
    }
    void end_frame() {
        if (!is_data || !is_last || error) return;
        messages.push_back(std::exchange(message, {}));
    }
    void fail_as(const Error& reason, std::uint16_t code) {
        error = reason;
        wslay_event_queue_close(context, code, nullptr, 0);
    }
    void flush() {
        // Fails for want of memory alone: its callback takes all.
        if (wslay_event_send(context) != 0) throw std::bad_alloc();
    }

    Random& random;
    wslay_event_context_ptr context = nullptr;
    ByteView in{};
    Bytes out;
    Bytes message;  // Of a message that is not whole yet.
    std::deque<Bytes> messages;
    std::size_t size_max = kMessageSizeMax;
    bool is_data = false, is_last = false;  // The frame that is being read.
    bool is_ending = false;                 // This side said that it is at its end.
    std::optional<Error> error;
};

WsCodec::WsCodec(Side side, Random& random) : state_(std::make_unique<State>(side, random)) {}
WsCodec::~WsCodec() = default;

void WsCodec::take(ByteView bytes) {
    State& state = *state_;
    if (state.error || is_end_seen()) return;
    state.in = bytes;
    const int failed = wslay_event_recv(state.context);
    state.in = {};
    if (failed != 0 && !state.error) {
        state.fail_as(fail(Errc::malformed, "frames that are not those of a WebSocket"),
                      WSLAY_CODE_PROTOCOL_ERROR);
    }
    state.flush();
    const bool is_given_up =
        wslay_event_get_close_sent(state.context) != 0 && !is_end_seen() && !state.is_ending;
    if (is_given_up && !state.error) {
        state.error = fail(errc_of(wslay_event_get_status_code_sent(state.context)),
                           "frames that are not those of a WebSocket");
    }
}

std::optional<Bytes> WsCodec::next() {
    if (state_->messages.empty()) return std::nullopt;
    std::optional<Bytes> message = std::move(state_->messages.front());
    state_->messages.pop_front();
    return message;
}

const std::optional<Error>& WsCodec::error() const noexcept { return state_->error; }

bool WsCodec::is_end_seen() const noexcept {
    // What libwslay had read already may go on behind an error.
    return !state_->error && wslay_event_get_close_received(state_->context) != 0;
}

bool WsCodec::is_end_clean() const noexcept {
    const std::uint16_t code = wslay_event_get_status_code_received(state_->context);
    return is_end_seen() && (code == WSLAY_CODE_NORMAL_CLOSURE || code == WSLAY_CODE_GOING_AWAY ||
                             code == WSLAY_CODE_NO_STATUS_RCVD || code == 0);
}

void WsCodec::set_size_max(std::size_t size_max) noexcept {
    state_->size_max = std::min(size_max, kMessageSizeMax);
}

void WsCodec::send(ByteView message) {
    const wslay_event_msg frame{WSLAY_BINARY_FRAME, message.data(), message.size()};
    if (wslay_event_queue_msg(state_->context, &frame) == WSLAY_ERR_NOMEM) throw std::bad_alloc();
    state_->flush();
}

void WsCodec::send_end() {
    state_->is_ending = true;
    wslay_event_queue_close(state_->context, WSLAY_CODE_NORMAL_CLOSURE, nullptr, 0);
    state_->flush();
}

Bytes& WsCodec::out() noexcept { return state_->out; }

}  // namespace joinery::transport
