import fc from "fast-check";

// A mutant is noticed by the first tries of a property, or by none.
fc.configureGlobal({ interruptAfterTimeLimit: 100 });
