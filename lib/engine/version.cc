#include "joinery/document.h"

#include <charconv>

namespace joinery {
namespace {

/// The digits of @p text as a number; nullopt for anything else.
std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return number;
}

/// Reads fixed-width fields off the front of an RFC 3339 time.
class TimeReader {
  public:
    explicit TimeReader(std::string_view text) : rest_(text) {}

    std::int64_t digits(std::size_t count, std::int64_t low, std::int64_t high) {
        const auto number =
            rest_.size() >= count ? parse_number(rest_.substr(0, count)) : std::nullopt;
        if (!number || static_cast<std::int64_t>(*number) < low ||
            static_cast<std::int64_t>(*number) > high) {
            ok_ = false;
            return low;
        }
        rest_.remove_prefix(count);
        return static_cast<std::int64_t>(*number);
    }
    bool accept(std::string_view any_of) {
        if (rest_.empty() || any_of.find(rest_.front()) == std::string_view::npos) return false;
        rest_.remove_prefix(1);
        return true;
    }
    void expect(std::string_view any_of) { ok_ = accept(any_of) && ok_; }
    /// A fraction of a second, cut off to milliseconds.
    std::int64_t fraction() {
        std::int64_t ms = 0;
        std::int64_t unit = 100;
        std::size_t count = 0;
        for (; !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9'; ++count) {
            ms += unit * (rest_.front() - '0');
            unit /= 10;
            rest_.remove_prefix(1);
        }
        ok_ = ok_ && count != 0;
        return ms;
    }
    bool finished() const { return ok_ && rest_.empty(); }

  private:
    std::string_view rest_;
    bool ok_ = true;
};

std::optional<WallTime> parse_time(std::string_view text) {
    TimeReader in(text);
    const auto year = static_cast<int>(in.digits(4, 0, 9999));
    in.expect("-");
    const auto month = static_cast<unsigned>(in.digits(2, 1, 12));
    in.expect("-");
    const auto day = static_cast<unsigned>(in.digits(2, 1, 31));
    in.expect("Tt ");
    const std::int64_t hour = in.digits(2, 0, 23);
    in.expect(":");
    const std::int64_t minute = in.digits(2, 0, 59);
    in.expect(":");
    const std::int64_t second = in.digits(2, 0, 60);
    const std::int64_t ms = in.accept(".") ? in.fraction() : 0;
    std::int64_t offset_minutes = 0;
    if (!in.accept("Zz")) {
        const std::int64_t sign = in.accept("-") ? -1 : 1;
        if (sign == 1) in.expect("+");
        const std::int64_t offset_hours = in.digits(2, 0, 23);
        in.expect(":");
        offset_minutes = sign * (offset_hours * 60 + in.digits(2, 0, 59));
    }
    const std::chrono::year_month_day date{
        std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
    if (!in.finished() || !date.ok()) return std::nullopt;
    const auto days = std::chrono::sys_days(date).time_since_epoch();
    const std::int64_t seconds = (hour * 60 + minute - offset_minutes) * 60 + second;
    return WallTime(std::chrono::duration_cast<WallTime>(days).count() + seconds * 1000 + ms);
}

Result<Version::Head> parse_head(std::string_view text) {
    const std::size_t at = text.find('@');
    Version::Head head;
    const auto seq =
        at == std::string_view::npos ? std::nullopt : parse_number(text.substr(at + 1));
    if (!seq || *seq == 0 || !parse_hex(text.substr(0, at), head.actor.bytes)) {
        return fail(Errc::malformed, "a version is head, #N, ACTOR@SEQ or an RFC 3339 time");
    }
    head.seq = *seq;
    return head;
}

}  // namespace

Result<Version> Version::parse(std::string_view text) {
    Version version;
    if (text == "head") return version;
    if (text.starts_with('#')) {
        const auto number = parse_number(text.substr(1));
        if (!number) return fail(Errc::malformed, "after # comes a number of changes");
        version.form = Form::arrival;
        version.arrival = *number;
        return version;
    }
    if (const auto time = parse_time(text)) {
        version.form = Form::time;
        version.time = *time;
        return version;
    }
    version.form = Form::heads;
    while (true) {
        const std::size_t comma = text.find(',');
        JOINERY_TRY(const Head head, parse_head(text.substr(0, comma)));
        version.heads.push_back(head);
        if (comma == std::string_view::npos) return version;
        text.remove_prefix(comma + 1);
    }
}

}  // namespace joinery
