/// @file
/// The user's handle on a connection that may outlive it. Private to transport/.
#pragma once

#include "base/link.h"

#include <memory>
#include <string>
#include <utility>

namespace joinery::transport::detail {

/// @tparam Connection  Has what Link has, and abandon(), after which no callback comes.
template <class Connection>
class LinkHandle final : public Link {
  public:
    explicit LinkHandle(std::shared_ptr<Connection> connection) noexcept
        : connection_(std::move(connection)) {}
    ~LinkHandle() override { connection_->abandon(); }

    void start(Events events) override { connection_->start(std::move(events)); }
    Result<void> send(ByteView message) override { return connection_->send(message); }
    void pause() override { connection_->pause(); }
    void resume() override { connection_->resume(); }
    void limit_received(std::size_t size_max) override { connection_->limit_received(size_max); }
    void close() override { connection_->close(); }
    std::size_t queued_size() const override { return connection_->queued_size(); }
    std::string remote() const override { return connection_->remote(); }

  private:
    std::shared_ptr<Connection> connection_;
};

}  // namespace joinery::transport::detail
