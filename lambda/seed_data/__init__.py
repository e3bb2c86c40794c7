"""The seed: real invoice lines, from one wide file to normalised, keyed tables."""
