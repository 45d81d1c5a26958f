source("common.R")
suppressMessages({library(survival); library(cmprsk)})
set.seed(7)

# Times in 15-day steps have ties of every kind; the others have none.
people <- function(n, step) {
  d <- data.frame(id = 1:n, x1 = round(rnorm(n), 3), x2 = rbinom(n, 1, .4),
                  centre = sample(1:12, n, TRUE), stratum = sample(1:3, n, TRUE))
  t1 <- rexp(n, exp(.5 * d$x1 - .4 * d$x2) / 300); t2 <- rexp(n, exp(.3 * d$x2) / 400)
  cc <- pmin(rexp(n, 1 / 500), 700 + seq_len(n) / n)
  d$time <- if (step > 0) ceiling(pmin(t1, t2, cc) / step) * step else round(pmin(t1, t2, cc), 9)
  d$event <- ifelse(cc <= pmin(t1, t2), 0, ifelse(t1 < t2, 1, 2))
  d
}
se <- function(v) unname(sqrt(diag(v)))
case <- function(d) {
  x <- as.matrix(d[, c("x1", "x2")])
  fg <- crr(d$time, d$event, x, gtol = 1e-12)
  new <- rbind(c(-1, 0), c(1, 1))
  # predict.crr gives steps; take the last at or before each day
  steps <- predict(fg, new); at <- c(60, 200, 400)
  risk <- sapply(2:3, function(j) sapply(at, function(t) { i <- which(steps[, 1] <= t); if (length(i)) steps[max(i), j] else 0 }))
  d$state <- factor(d$event)
  long <- finegray(Surv(time, state) ~ ., data = d, etype = 1, id = id)
  h <- coxph(Surv(fgstart, fgstop, fgstatus) ~ x1 + x2, weights = fgwt, data = long, ties = "breslow", cluster = id,
             control = coxph.control(eps = 1e-11))
  d$e <- as.integer(d$event == 1)
  plain <- coxph(Surv(time, e) ~ x1 + x2, d, control = coxph.control(eps = 1e-11))
  robust <- coxph(Surv(time, e) ~ x1 + x2 + strata(stratum), d, cluster = centre, control = coxph.control(eps = 1e-11))
  z <- cox.zph(plain, "km")$table; zs <- cox.zph(robust, "km")$table
  aj <- summary(survfit(Surv(time, state) ~ 1, d, id = id), times = at)
  km <- survfit(Surv(time, e) ~ 1, d)
  rm <- summary(km, rmean = 365)$table
  list(data = as.list(d[, c("x1", "x2", "centre", "stratum", "time", "event")]),
       crr = list(coef = unname(fg$coef), se = se(fg$var), loglik = fg$loglik, loglik_null = fg$loglik.null),
       predicted = list(at = at, low = risk[, 1], high = risk[, 2]),
       finegray = list(coef = unname(coef(h)), se = se(vcov(h))),
       cox = list(coef = unname(coef(plain)), se = se(vcov(plain)), loglik = plain$loglik[2],
                  zph_chi2 = unname(z[, 1]), zph_p = unname(z[, 3])),
       robust = list(coef = unname(coef(robust)), se = se(vcov(robust)), zph_chi2 = unname(zs[, 1])),
       aalen_johansen = list(at = at, incidence = unname(aj$pstate[, 2])),
       restricted_mean = list(estimate = unname(rm["rmean"]), se = unname(rm["se(rmean)"])))
}
write_cases(list(ties = case(people(150, 15)), untied = case(people(120, 0))), "events")
