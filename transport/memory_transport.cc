#include "transport/memory_transport.h"

#include "transport/memory_core.h"
#include "transport/url.h"

#include <algorithm>
#include <string>
#include <utility>

namespace joinery::transport {

namespace detail {
namespace {

class MemoryLink final : public Link {
  public:
    MemoryLink(std::shared_ptr<MemoryCore> core, std::shared_ptr<MemoryPair> pair, std::size_t side)
        : core_(std::move(core)), pair_(std::move(pair)), side_(side) {}
    ~MemoryLink() override { core_->abandon(*pair_, side_); }

    void start(Events events) override { core_->start(me(), std::move(events)); }
    Result<void> send(ByteView message) override { return core_->send(*pair_, side_, message); }
    void pause() override { core_->pause(me()); }
    void resume() override { core_->resume(me()); }
    void limit_received(std::size_t size_max) override {
        me().receive_max = std::min(size_max, kMessageSizeMax);
    }
    void close() override { core_->close(*pair_, side_); }
    std::size_t queued_size() const override {
        return me().state == MemorySide::State::ended ? 0 : me().limit.size();
    }
    std::string remote() const override { return "mem://" + pair_->sides[1 - side_].host; }

  private:
    MemorySide& me() const noexcept { return pair_->sides[side_]; }

    std::shared_ptr<MemoryCore> core_;
    std::shared_ptr<MemoryPair> pair_;
    std::size_t side_;
};

class MemoryListener final : public Listener {
  public:
    MemoryListener(std::shared_ptr<MemoryCore> core, std::string host)
        : core_(std::move(core)), host_(std::move(host)) {}
    ~MemoryListener() override { core_->stop_listening(host_); }
    std::string url() const override { return "mem://" + host_; }

  private:
    std::shared_ptr<MemoryCore> core_;
    std::string host_;
};

Result<Url> parse_mem_url(std::string_view text) {
    JOINERY_TRY(Url url, parse_url(text));
    if (url.scheme != "mem") return fail(Errc::unsupported, "the scheme of the URL is not mem");
    if (url.port || url.path.size() > 1) {
        return fail(Errc::malformed, "a mem URL has neither port nor path", text.size());
    }
    return url;
}

class MemoryTransport final : public Transport {
  public:
    MemoryTransport(std::shared_ptr<MemoryCore> core, std::string host)
        : core_(std::move(core)), host_(std::move(host)), id_(core_->next_transport_id()) {}
    ~MemoryTransport() override { core_->abandon_dials(id_); }

    bool accepts(std::string_view url) const override { return has_scheme(url, "mem"); }

    Result<std::unique_ptr<Listener>> listen(std::string_view text, OnLink on_link) override {
        JOINERY_TRY(const Url url, parse_mem_url(text));
        if (url.host != host_) {
            return fail(Errc::io, "the address does not belong to this host");
        }
        JOINERY_TRY_VOID(core_->listen(host_, std::move(on_link)));
        return std::unique_ptr<Listener>(std::make_unique<MemoryListener>(core_, host_));
    }

    void connect(std::string_view text, OnLink on_link) override {
        const Result<Url> url = parse_mem_url(text);
        const DeliveryKind kind = url ? DeliveryKind::dial : DeliveryKind::answer;
        const Error error = url ? fail(Errc::disconnected, "not answered yet") : url.error();
        core_->dial({kind,
                     LinkNumber{},
                     id_,
                     MonotonicTime{},
                     host_,
                     url ? url->host : host_,
                     std::move(on_link),
                     error});
    }

  private:
    std::shared_ptr<MemoryCore> core_;
    std::string host_;
    std::uint64_t id_;
};

}  // namespace

std::unique_ptr<Link> make_memory_link(std::shared_ptr<MemoryCore> core,
                                       std::shared_ptr<MemoryPair> pair,
                                       std::size_t side) {
    return std::make_unique<MemoryLink>(std::move(core), std::move(pair), side);
}

}  // namespace detail

MemoryNetwork::MemoryNetwork(const MemoryOptions& options)
    : core_(std::make_shared<detail::MemoryCore>(options)) {}

MemoryNetwork::~MemoryNetwork() { core_->shut_down(); }

std::unique_ptr<Transport> MemoryNetwork::make_transport(std::string_view name) {
    const Result<Url> url = parse_url("mem://" + std::string(name));
    JOINERY_ASSERT(url.has_value());
    return std::make_unique<detail::MemoryTransport>(core_, url->host);
}

std::span<const Delivery> MemoryNetwork::pending() { return core_->pending(); }
void MemoryNetwork::deliver(std::size_t index) { core_->deliver(index); }
bool MemoryNetwork::drop(std::size_t index) { return core_->drop(index); }
void MemoryNetwork::cut(LinkNumber link) { core_->cut(link); }
std::size_t MemoryNetwork::cut_between(std::string_view host, std::string_view other_host) {
    return core_->cut_between(host, other_host);
}

bool MemoryNetwork::step() {
    if (core_->pending().empty()) return false;
    core_->deliver(0);
    return true;
}

std::size_t MemoryNetwork::run(std::size_t steps_max) {
    std::size_t count = 0;
    while (count < steps_max && step())
        ++count;
    return count;
}

}  // namespace joinery::transport
