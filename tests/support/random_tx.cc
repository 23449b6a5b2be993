#include "support/random_tx.h"

#include <algorithm>
#include <limits>
#include <map>

namespace joinery::test {
namespace {

Value random_value(Dice& dice) {
    static const Bytes kBytes{0, 255, 10};
    switch (dice.below(12)) {
        case 0: return {};
        case 1: return Value(dice.chance(50));
        case 2: return Value(std::numeric_limits<std::int64_t>::min());
        case 3: return Value(-0.0);
        case 4: return Value(std::numeric_limits<double>::quiet_NaN());
        case 5: return Value(0.1 * static_cast<double>(dice.below(10)));
        case 6: return Value(ByteView(kBytes));
        case 7: return Value(WallTime(static_cast<std::int64_t>(dice.below(1000))));
        case 8: return Value(std::string(dice.below(300), 'x'));
        case 9: return Value("text " + std::to_string(dice.below(4)));
        default: return Value(static_cast<std::int64_t>(dice.below(10)));
    }
}

const std::vector<std::string>& keys() {
    static const std::vector<std::string> kKeys{"a", "b", "c", "", "sl/ash~", "list", "map", "id"};
    return kKeys;
}

void add_member(Plain& object, const std::string& key, Plain value) {
    auto& members = std::get<PlainObject>(object.data);
    const auto at =
        std::ranges::lower_bound(members, key, {}, [](const auto& member) { return member.first; });
    if (at != members.end() && at->first == key) {
        at->second = std::move(value);
    } else {
        members.emplace(at, key, std::move(value));
    }
}

/// An array of objects that name themselves, as dashboards have: elements by key.
Plain random_records(Dice& dice) {
    PlainArray array;
    std::vector<std::int64_t> ids{0, 1, 2, 3, 4};
    while (array.size() < 4 && dice.chance(75)) {
        const std::size_t at = dice.below(ids.size());
        Plain record{PlainObject()};
        add_member(record, "id", Plain{Value(ids[at])});
        add_member(record, "w", Plain{Value(static_cast<std::int64_t>(dice.below(3)))});
        ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at));
        array.push_back(std::move(record));
    }
    return Plain{std::move(array)};
}

std::string escaped(const std::string& token) {
    std::string out;
    for (const char c : token) {
        if (c == '~') {
            out += "~0";
        } else if (c == '/') {
            out += "~1";
        } else {
            out += c;
        }
    }
    return out;
}

struct Found {
    std::string path;
    bool is_list = false;
    std::size_t count = 0;
};

void find_containers(const Plain& value, const std::string& path, std::vector<Found>& out) {
    if (value.is_object()) {
        out.push_back({path, false, value.object().size()});
        for (const auto& [key, member] : value.object())
            find_containers(member, path + "/" + escaped(key), out);
    } else if (value.is_array()) {
        out.push_back({path, true, value.array().size()});
        for (std::size_t i = 0; i < value.array().size(); ++i)
            find_containers(value.array()[i], path + "/" + std::to_string(i), out);
    }
}

Result<void> edit_list(Dice& dice, Tx& tx, const Found& list) {
    // One past the end now and then: that edit is refused.
    const auto element = [&] {
        return list.path + "/" + std::to_string(dice.below(list.count + 1));
    };
    switch (dice.below(8)) {
        case 0:
        case 1:
        case 2:
            return tx.insert(dice.chance(30) ? list.path + "/-" : element(), random_plain(dice, 2));
        case 3: return tx.erase(element());
        case 4:
        case 5: return tx.move(element(), element());
        case 6: return tx.increment(element(), 1);
        default: return tx.set(element(), random_plain(dice, 2));
    }
}

Result<void> edit_map(Dice& dice, Tx& tx, const Found& map) {
    const std::string slot = map.path + "/" + escaped(dice.pick(keys()));
    switch (dice.below(10)) {
        case 0:
        case 1: return tx.erase(slot);
        case 2: return tx.increment(slot, static_cast<std::int64_t>(dice.below(9)) - 4);
        case 3:
            return tx.increment(map.path + "/count", 1 + static_cast<std::int64_t>(dice.below(5)));
        case 4: return tx.set(slot, random_records(dice));
        case 5: return tx.set(slot, Plain{PlainArray()});
        default: return tx.set(slot, random_plain(dice, 3));
    }
}

}  // namespace

Plain random_plain(Dice& dice, int depth) {
    if (depth == 0 || dice.chance(60)) return Plain{random_value(dice)};
    if (dice.chance(20)) return random_records(dice);
    if (dice.chance(50)) {
        PlainArray array;
        while (array.size() < 4 && dice.chance(70))
            array.push_back(random_plain(dice, depth - 1));
        return Plain{std::move(array)};
    }
    Plain object{PlainObject()};
    for (int i = 0; i < 3 && dice.chance(70); ++i)
        add_member(object, dice.pick(keys()), random_plain(dice, depth - 1));
    return object;
}

Result<void> edit_randomly(Dice& dice, Tx& tx) {
    for (std::size_t verbs = 1 + dice.below(4); verbs != 0; --verbs) {
        JOINERY_TRY(const Plain view, tx.read());
        std::vector<Found> containers;
        find_containers(view, "", containers);
        // The root gets emptied now and then, so that documents do not grow for ever.
        const bool too_large = containers.size() > 40;
        const Found& chosen = containers[too_large ? 0 : dice.below(containers.size())];
        Result<void> done;
        if (too_large) {
            done = tx.erase("/" + escaped(dice.pick(keys())));
        } else {
            done = chosen.is_list ? edit_list(dice, tx, chosen) : edit_map(dice, tx, chosen);
        }
        if (done) continue;
        const Errc code = done.error().code;
        // A set() of a counter to the least integer may leave no room for the next increment.
        if (code != Errc::not_found && code != Errc::conflict && code != Errc::malformed &&
            code != Errc::over_limit) {
            return done;
        }
    }
    if (dice.below(30) == 0) return fail(Errc::conflict, "the app changed its mind");
    return {};
}

}  // namespace joinery::test
