"""Rails: each asks one detector about one text and gives an event, or none where nothing was found."""
