#include "engine/plain_difference.h"

#include <algorithm>
#include <string>

namespace joinery::detail {
namespace {

class Differ {
  public:
    std::vector<crdt::PatchStep> steps;

    void compare(const Plain& before, const Plain& after) {
        if (before == after) return;
        if (before.is_object() && after.is_object())
            return objects(before.object(), after.object());
        if (before.is_array() && after.is_array()) return arrays(before.array(), after.array());
        steps.push_back({crdt::PatchKind::replace, path_, after});
    }

  private:
    /// Calls @p visit with @p token at the end of the path.
    template <class Visit>
    void at(std::string_view token, Visit visit) {
        const std::size_t size = path_.size();
        crdt::append_path_token(path_, token);
        visit();
        path_.resize(size);
    }
    void remove(std::string_view token) {
        at(token, [&] { steps.push_back({crdt::PatchKind::remove, path_, {}}); });
    }
    void add(std::string_view token, const Plain& value) {
        at(token, [&] { steps.push_back({crdt::PatchKind::add, path_, value}); });
    }

    void objects(const PlainObject& before, const PlainObject& after) {
        for (const PlainMember& member : before) {
            const Plain* now = find_member(after, member.first);
            if (now == nullptr) {
                remove(member.first);
            } else {
                at(member.first, [&] { compare(member.second, *now); });
            }
        }
        for (const PlainMember& member : after) {
            if (find_member(before, member.first) == nullptr) add(member.first, member.second);
        }
    }

    void arrays(const PlainArray& before, const PlainArray& after) {
        const std::size_t shorter = std::min(before.size(), after.size());
        std::size_t begin = 0;
        while (begin < shorter && before[begin] == after[begin])
            ++begin;
        std::size_t end = 0;  // Equal elements from behind.
        while (end < shorter - begin &&
               before[before.size() - 1 - end] == after[after.size() - 1 - end]) {
            ++end;
        }
        const std::size_t before_end = before.size() - end;
        const std::size_t after_end = after.size() - end;
        const std::size_t both_end = std::min(before_end, after_end);
        for (std::size_t i = begin; i < both_end; ++i)
            at(std::to_string(i), [&] { compare(before[i], after[i]); });
        for (std::size_t i = before_end; i > both_end; --i)
            remove(std::to_string(i - 1));
        for (std::size_t i = both_end; i < after_end; ++i)
            add(std::to_string(i), after[i]);
    }

    std::string path_;
};

}  // namespace

std::vector<crdt::PatchStep> difference(const Plain& before, const Plain& after) {
    Differ differ;
    differ.compare(before, after);
    return std::move(differ.steps);
}

}  // namespace joinery::detail
