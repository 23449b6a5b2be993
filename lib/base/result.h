/// @file
/// The one way an operation reports failure: a value or a small Error, never an exception.
/// Not for broken invariants of our own: those are JOINERY_ASSERT (base/assert.h).
#pragma once

#include "base/assert.h"

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace joinery {

/// What the caller can do next; the text of an Error is for people only.
enum class Errc : std::uint8_t {
    malformed =
        1,  ///< The bytes or the argument are not what they should be; asking again is useless.
    unsupported,   ///< Well formed, but of a version or kind that this build does not know.
    over_limit,    ///< Larger, deeper or more than a stated limit allows.
    not_found,     ///< The named thing does not exist.
    conflict,      ///< It exists, but its state forbids this.
    disconnected,  ///< The other side is gone; reconnecting may help.
    io,            ///< The operating system refused: disk full, permission, no such address.
    busy,          ///< Someone else holds it now; trying later may help.
    damaged,       ///< Stored bytes fail their checksum or hash.
    untrusted,     ///< A signature or identity does not hold.
};

/// The lower-case name of @p code, for messages and logs.
std::string_view errc_name(Errc code) noexcept;

/// Why an operation failed. Cheap to copy: @p what points to static text.
struct Error {
    Errc code;
    std::string_view what;  ///< Static text without final period; says what to do where that helps.
    std::uint64_t at =
        0;  ///< Offset of the bad byte, or index of the bad item, where there is one.
};

/// Makes the Error that a Result-returning function returns.
inline Error fail(Errc code, std::string_view what, std::uint64_t at = 0) noexcept {
    return Error{code, what, at};
}

/// A value of type T, or the Error that prevented it. Member names follow std::expected.
template <class T>
class [[nodiscard]] Result {
  public:
    using value_type = T;

    // NOLINTNEXTLINE(google-explicit-constructor): `return value;` is the point of the type.
    Result(T value) : value_(std::move(value)), error_{} {}
    // NOLINTNEXTLINE(google-explicit-constructor): `return fail(...)` likewise.
    Result(Error error) noexcept : error_(error) {}

    bool has_value() const noexcept { return value_.has_value(); }
    explicit operator bool() const noexcept { return has_value(); }

    T& value() & {
        JOINERY_ASSERT(has_value());
        return *value_;
    }
    const T& value() const& {
        JOINERY_ASSERT(has_value());
        return *value_;
    }
    T&& value() && {
        JOINERY_ASSERT(has_value());
        return std::move(*value_);
    }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    /// The Error; only where !has_value().
    const Error& error() const noexcept {
        JOINERY_ASSERT(!has_value());
        return error_;
    }

    T value_or(T other) const& { return has_value() ? *value_ : std::move(other); }

  private:
    std::optional<T> value_;
    Error error_;
};

/// Success without a value, or the Error.
template <>
class [[nodiscard]] Result<void> {
  public:
    using value_type = void;

    Result() noexcept : ok_(true), error_{} {}
    // NOLINTNEXTLINE(google-explicit-constructor): `return fail(...)` is the point of the type.
    Result(Error error) noexcept : error_(error) {}

    bool has_value() const noexcept { return ok_; }
    explicit operator bool() const noexcept { return ok_; }
    const Error& error() const noexcept {
        JOINERY_ASSERT(!ok_);
        return error_;
    }

  private:
    bool ok_ = false;
    Error error_;
};

/// Passes the Error of @p expr up, else binds its value: JOINERY_TRY(auto v, f());
#define JOINERY_TRY(declaration, expr) \
    JOINERY_TRY_IMPL(JOINERY_CONCAT(joinery_result_, __LINE__), declaration, expr)

/// Passes the Error of the Result<void> @p expr up.
#define JOINERY_TRY_VOID(expr) \
    JOINERY_TRY_VOID_IMPL(JOINERY_CONCAT(joinery_done_, __COUNTER__), expr)

#define JOINERY_TRY_VOID_IMPL(name, expr)                   \
    do {                                                    \
        if (auto name = (expr); !name) return name.error(); \
    } while (false)
#define JOINERY_CONCAT_IMPL(a, b) a##b
#define JOINERY_CONCAT(a, b) JOINERY_CONCAT_IMPL(a, b)
#define JOINERY_TRY_IMPL(name, declaration, expr) \
    auto name = (expr);                           \
    if (!name) return name.error();               \
    declaration = *std::move(name)

}  // namespace joinery
