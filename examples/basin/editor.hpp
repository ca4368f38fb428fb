// SPDX-License-Identifier: LGPL-2.1-or-later
// Lets the user edit a text in the editor of their choice.
#pragma once

#include <string>

namespace command {

/** A private temporary file, gone when this is. */
class EditedFile {
public:
    explicit EditedFile(const std::string& text);
    ~EditedFile();
    EditedFile(const EditedFile&) = delete;
    EditedFile& operator=(const EditedFile&) = delete;

    /** Runs $VISUAL, $EDITOR or vi on it and returns what it holds then. */
    std::string edit();

private:
    std::string path_;
};

enum class Again { yes, no, without_validation };

/** Asks on the terminal; without one the answer is no. */
Again ask_again(const std::string& problem);

} // namespace command
