"""One file per read engine, and the gather kernel they share."""
