// SPDX-License-Identifier: LGPL-2.1-or-later
// bench-corpus: makes the data set. Usage: bench-corpus mixed|empty dir=NEW_DIRECTORY count=N
#include "corpus.hpp"
#include "measure.hpp"

#include <stdexcept>

namespace {

int run(const bench::Arguments& arguments)
{
    if (arguments.words().size() != 1)
        throw std::runtime_error("usage: bench-corpus mixed|empty dir=NEW_DIRECTORY count=N");
    const auto dir = arguments.text("dir");
    const auto count = arguments.number("count", 10'000);
    if (arguments.words()[0] == "mixed")
        bench::make_mixed_corpus(dir, count);
    else if (arguments.words()[0] == "empty")
        bench::make_empty_corpus(dir, count);
    else
        throw std::runtime_error("unknown corpus '" + arguments.words()[0] + "'");
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    return bench::guarded_main(argc, argv, run);
}
