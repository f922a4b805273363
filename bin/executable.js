// The start of the executable, which needs no Node.js: everything that the build puts beside the program is inside.
if (process.argv0 === "secureflag-licenses-keyring") require("./inside.js").load("keyring.js");
else require("./secureflag-licenses.js");
