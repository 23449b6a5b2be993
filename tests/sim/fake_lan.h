/// @file
/// A local network on which datagrams are moved by hand.
#pragma once

#include "base/datagram.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace joinery::sim {

class FakeLan {
  public:
    /// What @p host hears and says the network with. The network must outlive it.
    std::unique_ptr<DatagramGroup> join(std::string host) {
        return std::make_unique<Member>(*this, std::move(host));
    }
    /// As if @p host said it.
    void say(const std::string& host, ByteView datagram) {
        said_.push_back({host, Bytes(datagram.begin(), datagram.end())});
    }
    /// Brings what was said to all; whether there was anything.
    bool run() {
        const bool is_any = !said_.empty();
        for (; !said_.empty(); said_.pop_front()) {
            const Datagram datagram = said_.front();
            heard_.push_back(datagram.bytes);
            const std::vector<Member*> members = members_;
            for (Member* member : members) {
                const bool is_there = std::ranges::find(members_, member) != members_.end();
                if (is_there && !is_lost_(datagram.host, member->host)) {
                    member->on_datagram(datagram.host, datagram.bytes);
                }
            }
        }
        return is_any;
    }
    /// Loses from now on what @p is_lost says of a speaker and a hearer.
    void lose(std::function<bool(const std::string&, const std::string&)> is_lost) {
        is_lost_ = std::move(is_lost);
    }
    /// Whether hosts can join.
    void set_up(bool is_up) { is_up_ = is_up; }
    /// All that was said, in order.
    const std::vector<Bytes>& heard() const { return heard_; }

  private:
    struct Datagram {
        std::string host;
        Bytes bytes;
    };
    struct Member final : DatagramGroup {
        Member(FakeLan& on, std::string name) : lan(on), host(std::move(name)) {}
        ~Member() override { std::erase(lan.members_, this); }
        Result<void> start(OnDatagram heard) override {
            if (!lan.is_up_) return fail(Errc::io, "the network is down");
            on_datagram = std::move(heard);
            lan.members_.push_back(this);
            return {};
        }
        Result<void> send(ByteView datagram) override {
            lan.say(host, datagram);
            return {};
        }

        FakeLan& lan;
        std::string host;
        OnDatagram on_datagram;
    };

    std::deque<Datagram> said_;
    std::vector<Member*> members_;
    std::vector<Bytes> heard_;
    std::function<bool(const std::string&, const std::string&)> is_lost_ =
        [](const std::string&, const std::string&) { return false; };
    bool is_up_ = true;
};

}  // namespace joinery::sim
