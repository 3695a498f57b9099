//! P21: the same operations leave the same observable state on both engines. One scenario calls every method of every port.
