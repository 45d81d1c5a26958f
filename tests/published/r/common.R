# Shared by the scripts beside it. Each draws small data sets, asks R, and writes data and figures to NAME.json.
#   Rscript agreement.R        (from this folder)
# R 4.2.2 with the Debian 12 packages r-cran-rms 6.5-0, ordinal 2022.11-16, MASS 7.3-58.2, sandwich 3.0-2,
# clubsandwich 0.5.8, lmtest 0.9-40, quantreg 5.94, VGAM 1.1-7, mice 3.15.0, boot 1.3-28.1, vcd 1.4-11,
# psych 2.2.9, epiR 2.0.57, metafor 3.8-1, Hmisc 4.8-0, survival 3.5-3, cmprsk 2.2-11, pROC 1.18.0, survey 4.1-1.
suppressMessages(library(jsonlite))
options(warn = 1); Sys.setenv(TZ = "UTC")
RNGkind("Mersenne-Twister", "Inversion", "Rejection")

columns <- function(d) lapply(as.list(d), function(v) if (is.factor(v)) as.character(v) else v)

write_cases <- function(cases, name) {
  meta <- list(R = R.version.string)
  text <- toJSON(list(meta = meta, cases = cases), digits = NA, auto_unbox = TRUE, na = "null", null = "null")
  writeLines(text, paste0(name, ".json"))
}
