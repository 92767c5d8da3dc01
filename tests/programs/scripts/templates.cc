// Variants, recursion over types, maps of vectors, closures, regular expressions: what makes a C++ front end allocate.
#include <algorithm>
#include <compare>
#include <functional>
#include <map>
#include <regex>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

template <int N> struct kind {
    int number = N;
    std::string name = "kind" + std::to_string(N);
    auto operator<=>(const kind &) const = default;
};

template <typename Sequence> struct any_of;
template <int... N> struct any_of<std::integer_sequence<int, N...>> {
    using type = std::variant<kind<N>...>;
};
using any_kind = any_of<std::make_integer_sequence<int, 14>>::type;

template <int N> struct fib {
    static constexpr long value = fib<N - 1>::value + fib<N - 2>::value;
};
template <> struct fib<0> {
    static constexpr long value = 0;
};
template <> struct fib<1> {
    static constexpr long value = 1;
};

template <typename... T> struct list {
};
template <typename A, typename B> struct join;
template <typename... A, typename... B> struct join<list<A...>, list<B...>> {
    using type = list<A..., B...>;
};
template <typename L, int N> struct repeat {
    using type = typename join<L, typename repeat<L, N - 1>::type>::type;
};
template <typename L> struct repeat<L, 0> {
    using type = list<>;
};
using long_list = repeat<list<int, char, std::string>, 150>::type;

long use(std::vector<any_kind> &all, const std::string &text)
{
    std::map<std::string, std::vector<any_kind>> by_name;
    std::unordered_map<int, std::function<long(long)>> calls;
    for (auto &one : all)
        std::visit(
            [&](auto &k) {
                by_name[k.name].push_back(k);
                calls[k.number] = [n = k.number](long z) { return z + n; };
            },
            one);
    std::sort(all.begin(), all.end());
    std::regex pattern("([a-z]+)([0-9]+)");
    std::smatch match;
    long n = std::regex_search(text, match, pattern) ? (long)match.size() : 0;
    for (auto &[number, call] : calls)
        n += call(number);
    return n + fib<80>::value + (long)sizeof(long_list);
}
