#include "transport/asio_error.h"

#include <asio/error.hpp>

#include <array>
#include <cerrno>
#include <span>

namespace joinery::transport {

namespace {

struct Row {
    asio::error_code code;
    Errc errc;
    std::string_view what;
};

// Searched in order, so the special stands before the general.
std::span<const Row> rows_of(Action action) noexcept {
    namespace error = asio::error;
    static const std::array<Row, 4> resolve_rows{{
        {error::host_not_found, Errc::not_found, "no host of this name is known"},
        {error::no_data, Errc::not_found, "the host name has no address"},
        {error::host_not_found_try_again, Errc::disconnected, "the name server did not answer"},
        {error::no_recovery, Errc::io, "the name server reported a failure"},
    }};
    static const std::array<Row, 4> listen_rows{{
        {error::address_in_use, Errc::io, "the address is in use; choose another port"},
        {error::access_denied,
         Errc::io,
         "permission denied; ports below 1024 are kept for the system"},
        {error::no_permission, Errc::io, "permission denied"},
        {asio::error_code(EADDRNOTAVAIL, asio::system_category()),
         Errc::io,
         "the address does not belong to this machine"},
    }};
    static const std::array<Row, 5> connect_rows{{
        {error::connection_refused,
         Errc::disconnected,
         "connection refused; nothing listens at the address"},
        {error::access_denied, Errc::io, "permission denied; a firewall may forbid it"},
        {error::no_permission, Errc::io, "permission denied; a firewall may forbid it"},
        {asio::error_code(EADDRNOTAVAIL, asio::system_category()),
         Errc::io,
         "no local port is free for the connection"},
        {error::timed_out, Errc::disconnected, "the address did not answer in time"},
    }};
    switch (action) {
        case Action::resolve: return resolve_rows;
        case Action::listen: return listen_rows;
        case Action::connect: return connect_rows;
        case Action::accept:
        case Action::transfer: break;
    }
    return {};
}

std::span<const Row> common_rows() noexcept {
    namespace error = asio::error;
    static const std::array<Row, 13> rows{{
        {error::eof, Errc::disconnected, "the other side ended the stream"},
        {error::connection_reset, Errc::disconnected, "the connection was cut"},
        {error::connection_aborted, Errc::disconnected, "the connection was cut"},
        {error::broken_pipe, Errc::disconnected, "the connection was cut"},
        {error::not_connected, Errc::disconnected, "the connection was cut"},
        {error::timed_out, Errc::disconnected, "the other side stopped answering"},
        {error::network_down, Errc::disconnected, "the network is down"},
        {error::network_unreachable, Errc::disconnected, "the network cannot be reached"},
        {error::host_unreachable, Errc::disconnected, "the host cannot be reached"},
        {error::operation_aborted, Errc::disconnected, "the operation was cancelled"},
        {error::no_descriptors, Errc::io, "too many files and sockets are open in this process"},
        {asio::error_code(ENFILE, asio::system_category()),
         Errc::io,
         "too many files and sockets are open on this machine"},
        {error::no_memory, Errc::io, "the system is out of memory"},
    }};
    return rows;
}

}  // namespace

Error make_error(const asio::error_code& code, Action action) noexcept {
    for (const auto rows : {rows_of(action), common_rows()}) {
        for (const Row& row : rows) {
            if (row.code == code) return fail(row.errc, row.what);
        }
    }
    return fail(
        Errc::io, "the system refused the operation", static_cast<std::uint64_t>(code.value()));
}

}  // namespace joinery::transport
