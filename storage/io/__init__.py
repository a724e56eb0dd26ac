"""One file a read engine, and the gather kernel they share."""
