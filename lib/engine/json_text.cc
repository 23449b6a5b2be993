#include "engine/json_text.h"

#include "base/assert.h"
#include "joinery/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

namespace joinery {
namespace {

constexpr std::string_view kIntegerCharacters = "-0123456789";

/// Steps through the text for nlohmann's lexer and tells how far it is, which its handlers cannot
/// ask.
class CountingIterator {
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    CountingIterator(const char* at, const char** furthest) noexcept
        : at_(at), furthest_(furthest) {}

    reference operator*() const noexcept { return *at_; }
    CountingIterator& operator++() noexcept {
        *furthest_ = ++at_;
        return *this;
    }
    friend bool operator==(const CountingIterator& a, const CountingIterator& b) noexcept {
        return a.at_ == b.at_;
    }

  private:
    const char* at_;
    const char** furthest_;
};

/// Sorts members that stand in the order of the text by key; of equal keys the last one stays.
void sort_members(PlainObject& members) {
    const auto key = [](const auto& member) { return std::string_view(member.first); };
    const bool ascending =
        std::ranges::adjacent_find(members, std::ranges::greater_equal{}, key) == members.end();
    if (ascending) return;
    std::vector<std::size_t> order(members.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
        const int difference = members[a].first.compare(members[b].first);
        return difference != 0 ? difference < 0 : a < b;
    });
    PlainObject sorted;
    sorted.reserve(members.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        auto& member = members[order[i]];
        const bool is_last = i + 1 == order.size() || members[order[i + 1]].first != member.first;
        if (is_last) sorted.push_back(std::move(member));
    }
    members = std::move(sorted);
}

/// Whether the integer literal @p text is exactly @p value.
bool holds_exactly(double value, std::string_view text) {
    // Room for a sign and the 309 digits of the greatest double.
    std::array<char, 320> digits{};
    const auto end = std::to_chars(
        digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed, 0);
    return end.ec == std::errc{} && std::string_view(digits.data(), end.ptr) == text;
}

/// What nlohmann says in prose, as static text. Only people read the difference.
std::string_view explain(std::string_view message) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kReasons{{
        {"UTF-8", "the JSON text is not valid UTF-8"},
        {"surrogate", "half of a surrogate pair in a JSON string"},
        {"control character", "a control character in a JSON string must be escaped"},
        {"unexpected end of input", "the JSON text ends too early"},
        {"missing closing quote", "the JSON text ends inside a string"},
    }};
    for (const auto& [part, text] : kReasons) {
        if (message.find(part) != std::string_view::npos) return text;
    }
    return "this is not JSON";
}

/// Builds the value from nlohmann's events. Each event returns whether to go on.
class PlainBuilder : public nlohmann::json_sax<nlohmann::json> {
  public:
    explicit PlainBuilder(const JsonLimits& limits) noexcept : limits_(limits) {}

    Plain take_root() { return std::move(root_); }
    /// Why building stopped; `at` is filled only for what the lexer found.
    const std::optional<Error>& error() const noexcept { return error_; }
    bool error_has_offset() const noexcept { return error_has_offset_; }

    bool null() override { return add(Value()); }
    bool boolean(bool value) override { return add(Value(value)); }
    bool number_integer(number_integer_t value) override {
        // Only literals with a sign come here, so 0 is "-0".
        return value == 0 ? add(Value(-0.0)) : add(Value(std::int64_t{value}));
    }
    bool number_unsigned(number_unsigned_t value) override {
        if (std::in_range<std::int64_t>(value)) return add(Value(static_cast<std::int64_t>(value)));
        const auto real = static_cast<double>(value);
        std::array<char, 24> digits{};
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
        return number_float(real, std::string(digits.data(), end.ptr));
    }
    bool number_float(number_float_t value, const string_t& text) override {
        const bool is_integer = text.find_first_not_of(kIntegerCharacters) == std::string::npos;
        if (is_integer && !holds_exactly(value, text)) {
            return stop(
                fail(Errc::over_limit, "an integer past 64 bits that no double holds exactly"));
        }
        return add(Value(value));
    }
    bool string(string_t& value) override {
        if (value.size() > limits_.string_size_max) {
            return stop(fail(Errc::over_limit, "a JSON string is too long"));
        }
        return add(Value(std::string_view(value)));
    }
    bool binary(binary_t& /*value*/) override { return stop(fail(Errc::malformed, "binary")); }

    bool start_object(std::size_t /*count*/) override { return open<PlainObject>(); }
    bool key(string_t& value) override {
        if (value.size() > limits_.key_size_max) {
            return stop(fail(Errc::over_limit, "a JSON key is too long"));
        }
        std::get<PlainObject>(open_.back()->data).emplace_back(std::move(value), Plain{});
        return true;
    }
    bool end_object() override {
        sort_members(std::get<PlainObject>(open_.back()->data));
        return close();
    }
    bool start_array(std::size_t /*count*/) override { return open<PlainArray>(); }
    bool end_array() override { return close(); }

    bool parse_error(std::size_t position,
                     const std::string& /*last_token*/,
                     const nlohmann::detail::exception& exception) override {
        // The lexer counts the byte that it did not like.
        const std::uint64_t at = position == 0 ? 0 : position - 1;
        constexpr int kNumberOutOfRange = 406;
        error_has_offset_ = true;
        return stop(exception.id == kNumberOutOfRange
                        ? fail(Errc::over_limit, "a number past the range of a double", at)
                        : fail(Errc::malformed, explain(exception.what()), at));
    }

  private:
    bool stop(Error error) {
        error_ = error;
        return false;
    }
    bool add(Value value) {
        next().data.emplace<Value>(std::move(value));
        return true;
    }
    template <class Container>
    bool open() {
        if (open_.size() >= limits_.depth_max) {
            return stop(fail(Errc::over_limit, "JSON nested too deeply"));
        }
        Plain& place = next();
        place.data.template emplace<Container>();
        open_.push_back(&place);
        return true;
    }
    bool close() {
        open_.pop_back();
        return true;
    }
    /// Where the next value goes: the root, the value of the last key, or a new element.
    Plain& next() {
        if (open_.empty()) return root_;
        auto& container = open_.back()->data;
        if (auto* object = std::get_if<PlainObject>(&container)) return object->back().second;
        return std::get<PlainArray>(container).emplace_back();
    }

    const JsonLimits& limits_;
    Plain root_;
    /// Containers begun and not ended, the outermost first. They stay where they are meanwhile:
    /// only the innermost one grows.
    std::vector<Plain*> open_;
    std::optional<Error> error_;
    bool error_has_offset_ = false;
};

/// Writes one value and what is in it.
class Printer {
  public:
    explicit Printer(const JsonStyle& style) noexcept : style_(style) {}

    Result<void> print(const Plain& value) {
        if (value.is_scalar()) return print_scalar(value.scalar());
        if (value.is_array()) {
            return print_items(
                '[', ']', value.array(), [this](const Plain& item) { return print(item); });
        }
        return print_items('{', '}', value.object(), [this](const auto& member) {
            detail::append_json_string(out_, member.first);
            out_ += style_.indent == 0 ? ":" : ": ";
            return print(member.second);
        });
    }
    std::string take() { return std::move(out_); }

  private:
    template <class Items, class PrintItem>
    Result<void> print_items(char begin, char end, const Items& items, PrintItem print_item) {
        out_ += begin;
        ++depth_;
        bool first = true;
        for (const auto& item : items) {
            if (!first) out_ += ',';
            first = false;
            break_line();
            JOINERY_TRY_VOID(print_item(item));
        }
        --depth_;
        if (!first) break_line();
        out_ += end;
        return {};
    }
    void break_line() {
        if (style_.indent == 0) return;
        out_ += '\n';
        out_.append(depth_ * style_.indent, ' ');
    }
    Result<void> print_scalar(const Value& value) {
        switch (value.type()) {
            case ValueType::null: out_ += "null"; return {};
            case ValueType::boolean: out_ += value.as_bool() ? "true" : "false"; return {};
            case ValueType::integer: out_ += std::to_string(value.as_integer()); return {};
            case ValueType::real: return print_real(value.as_real());
            case ValueType::string: detail::append_json_string(out_, value.as_string()); return {};
            case ValueType::bytes:
                return print_foreign([&] { return detail::to_base64(value.content()); });
            case ValueType::timestamp:
                return print_foreign(
                    [&] { return detail::format_timestamp(value.as_timestamp()); });
        }
        return fail(Errc::unsupported, "a value of a type that this build does not know");
    }
    Result<void> print_real(double value) {
        if (std::isnan(value)) return print_foreign([] { return std::string("NaN"); });
        if (std::isinf(value)) {
            return print_foreign([&] { return std::string(value < 0 ? "-Infinity" : "Infinity"); });
        }
        detail::append_json_real(out_, value);
        return {};
    }
    template <class MakeText>
    Result<void> print_foreign(MakeText make_text) {
        if (style_.foreign == JsonForeign::refuse) {
            return fail(Errc::unsupported,
                        "JSON has no form for NaN, infinity, bytes and timestamps");
        }
        detail::append_json_string(out_, make_text());
        return {};
    }

    const JsonStyle& style_;
    std::string out_;
    std::size_t depth_ = 0;
};

}  // namespace

Result<Plain> parse_json(std::string_view text, const JsonLimits& limits) {
    // nlohmann takes a zero byte for the end and would accept whatever comes after it.
    if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
        return fail(Errc::malformed, "a zero byte in the JSON text", zero);
    }
    const char* const begin = text.data();
    const char* furthest = begin;
    PlainBuilder builder(limits);
    const bool built = nlohmann::json::sax_parse(CountingIterator(begin, &furthest),
                                                 CountingIterator(begin + text.size(), &furthest),
                                                 &builder);
    if (built) return builder.take_root();
    JOINERY_ASSERT(builder.error().has_value());
    Error error = *builder.error();
    if (!builder.error_has_offset()) error.at = static_cast<std::uint64_t>(furthest - begin);
    return error;
}

Result<std::string> print_json(const Plain& value, const JsonStyle& style) {
    Printer printer(style);
    JOINERY_TRY_VOID(printer.print(value));
    return printer.take();
}

void detail::append_json_string(std::string& out, std::string_view text) {
    static constexpr std::string_view kHex = "0123456789abcdef";
    out += '"';
    for (const char c : text) {
        switch (c) {
            case '"': out += "\\\""; continue;
            case '\\': out += "\\\\"; continue;
            case '\b': out += "\\b"; continue;
            case '\f': out += "\\f"; continue;
            case '\n': out += "\\n"; continue;
            case '\r': out += "\\r"; continue;
            case '\t': out += "\\t"; continue;
            default: break;
        }
        const auto byte = static_cast<std::uint8_t>(c);
        if (byte < 0x20) {
            out += "\\u00";
            out += kHex[byte >> 4U];
            out += kHex[byte & 15U];
        } else {
            out += c;
        }
    }
    out += '"';
}

void detail::append_json_real(std::string& out, double value) {
    JOINERY_ASSERT(std::isfinite(value));
    std::array<char, 32> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    const std::string_view text(digits.data(), end.ptr);
    out += text;
    // Without a point it would read back as an integer.
    if (text.find_first_not_of(kIntegerCharacters) == std::string_view::npos) out += ".0";
}

std::string detail::to_base64(ByteView bytes) {
    static constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const ByteView group = bytes.subspan(i, std::min<std::size_t>(3, bytes.size() - i));
        std::uint32_t bits = std::uint32_t{group[0]} << 16U;
        if (group.size() > 1) bits |= std::uint32_t{group[1]} << 8U;
        if (group.size() > 2) bits |= group[2];
        out += kAlphabet[bits >> 18U];
        out += kAlphabet[bits >> 12U & 63U];
        out += group.size() > 1 ? kAlphabet[bits >> 6U & 63U] : '=';
        out += group.size() > 2 ? kAlphabet[bits & 63U] : '=';
    }
    return out;
}

std::string detail::format_timestamp(WallTime time) {
    using std::chrono::days;
    using std::chrono::sys_days;
    constexpr WallTime kFirst = sys_days{std::chrono::year{0} / 1 / 1}.time_since_epoch();
    constexpr WallTime kEnd = sys_days{std::chrono::year{10000} / 1 / 1}.time_since_epoch();
    if (time < kFirst || time >= kEnd) return std::to_string(time.count());
    const auto day = std::chrono::floor<days>(time);
    const std::chrono::year_month_day date{sys_days{day}};
    const std::chrono::hh_mm_ss clock{time - day};
    std::string out;
    const auto append = [&](std::int64_t number, std::size_t width, char after) {
        const std::string digits = std::to_string(number);
        out.append(width - digits.size(), '0').append(digits).push_back(after);
    };
    append(int{date.year()}, 4, '-');
    append(unsigned{date.month()}, 2, '-');
    append(unsigned{date.day()}, 2, 'T');
    append(clock.hours().count(), 2, ':');
    append(clock.minutes().count(), 2, ':');
    append(clock.seconds().count(), 2, '.');
    append(clock.subseconds().count(), 3, 'Z');
    return out;
}

}  // namespace joinery
